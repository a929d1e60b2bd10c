"""Defines a quadrotor that follows a path: world, inertial unit, motion capture, attitude loop, pilot, and the task."""

from nodes.quadrotor.attitude import Attitude
from nodes.quadrotor.imu import Imu
from nodes.quadrotor.mocap import MotionCapture
from nodes.quadrotor.pilot import Pilot
from nodes.quadrotor.task import Track
from nodes.quadrotor.world import World

__all__ = ["Attitude", "Imu", "MotionCapture", "Pilot", "Track", "World"]
