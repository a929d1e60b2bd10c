"""Defines a controller and a task for an arm of two links, whose physics come from a model file."""

from rexcli.lazy import attach

__getattr__, __all__ = attach(__name__, {"agent": ["Agent"], "task": ["Reach"]})
