"""A disc pendulum on a DC motor: world, sensor, agent, actuator and the swing-up task;
and the encoder and the motor of one that is there."""

from nodes.pendulum.actuator import Actuator
from nodes.pendulum.agent import Agent
from nodes.pendulum.encoder import Encoder
from nodes.pendulum.motor import Motor
from nodes.pendulum.sensor import Sensor
from nodes.pendulum.task import SwingUp
from nodes.pendulum.world import OdeWorld

__all__ = ["Actuator", "Agent", "Encoder", "Motor", "OdeWorld", "Sensor", "SwingUp"]
