"""A disc pendulum on a DC motor: world, sensor, agent, actuator and the swing-up task."""

from nodes.pendulum.actuator import Actuator
from nodes.pendulum.agent import Agent
from nodes.pendulum.sensor import Sensor
from nodes.pendulum.task import SwingUp
from nodes.pendulum.world import OdeWorld

__all__ = ["Actuator", "Agent", "OdeWorld", "Sensor", "SwingUp"]
