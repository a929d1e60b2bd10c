"""Defines a cart-pole that a camera watches: world, camera, motor, agent, and the swing-up task."""

from nodes.cartpole.agent import Agent
from nodes.cartpole.camera import Camera
from nodes.cartpole.motor import Motor
from nodes.cartpole.task import SwingUp
from nodes.cartpole.world import World

__all__ = ["Agent", "Camera", "Motor", "SwingUp", "World"]
