"""Defines a disc pendulum on a DC motor, simulated and real: its sensors, motors, agents and the swing-up task."""

from nodes.pendulum.actuator import Actuator
from nodes.pendulum.agent import Agent, CameraAgent
from nodes.pendulum.camera import Camera
from nodes.pendulum.encoder import Encoder
from nodes.pendulum.motor import Motor
from nodes.pendulum.sensor import Sensor
from nodes.pendulum.simulated_camera import SimulatedCamera
from nodes.pendulum.task import SwingUp
from nodes.pendulum.world import OdeWorld

__all__ = [
    "Actuator",
    "Agent",
    "Camera",
    "CameraAgent",
    "Encoder",
    "Motor",
    "OdeWorld",
    "Sensor",
    "SimulatedCamera",
    "SwingUp",
]
