"""Defines a controller and a task for an arm of two links, whose physics come from a model file."""

from nodes.arm.agent import Agent
from nodes.arm.task import Reach

__all__ = ["Agent", "Reach"]
