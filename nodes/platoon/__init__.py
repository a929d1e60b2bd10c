"""Defines a platoon of vehicles that hear one another late: leader, cars, coordinator, and the task."""

from nodes.platoon.car import Car
from nodes.platoon.coordinator import Coordinator
from nodes.platoon.leader import Leader
from nodes.platoon.task import KeepGaps

__all__ = ["Car", "Coordinator", "KeepGaps", "Leader"]
