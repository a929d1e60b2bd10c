"""Defines a platoon of vehicles that hear one another late: leader, cars, coordinator, and the task."""

from rexcli.lazy import attach

__getattr__, __all__ = attach(
    __name__, {"car": ["Car"], "coordinator": ["Coordinator"], "leader": ["Leader"], "task": ["KeepGaps"]}
)
