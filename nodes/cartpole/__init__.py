"""A pole on a cart that a camera watches: world, camera, motor, agent, and the task to swing it up and balance it."""

from nodes.cartpole.agent import Agent
from nodes.cartpole.camera import Camera
from nodes.cartpole.motor import Motor
from nodes.cartpole.task import SwingUp
from nodes.cartpole.world import World

__all__ = ["Agent", "Camera", "Motor", "SwingUp", "World"]
