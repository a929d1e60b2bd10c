"""An arm of two links whose physics are those of a model file: its controller and its task."""

from nodes.arm.agent import Agent
from nodes.arm.task import Reach

__all__ = ["Agent", "Reach"]
