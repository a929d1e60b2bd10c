"""Defines the interface of a logger, and what it gets to know of the run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rexcli.rl.train import Progress


@dataclass(frozen=True)
class LoggedRun:
    """The run that a logger logs.

    Attributes:
        path: its folder, for a logger's files.
        experiment: the name of the experiment.
        seeds: number of policies that are trained at once.
        config: the whole experiment, plain data.
        updates, timesteps: updates and environment steps of each seed at which a stopped training is resumed; 0 for a
            new one.
    """

    path: Path
    experiment: str
    seeds: int
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    updates: int = 0
    timesteps: int = 0


class Logger(ABC):
    """Receives a training's numbers after every evaluation. Derive from it, in `nodes/`, for your own logger.

    An experiment names it under `loggers`, with the arguments of its `__init__`. An error in `start` ends the training
    before it begins; a later error only ends the logger.
    """

    def start(self, run: LoggedRun) -> str | None:
        """Opens the logger's files; the run's folder exists. Rows of later updates than `run.updates`, which a stopped
        training wrote after its last checkpoint, are logged again.

        Returns:
            A message to the user, such as where to find the numbers; None for nothing.
        """
        return None

    @abstractmethod
    def log(self, progress: Progress) -> None:
        """Logs the numbers of one evaluation, `progress.metrics`: by name, `[num_seeds]`."""

    def finish(self, status: str) -> None:  # noqa: B027 - there may be nothing to close
        """Closes the logger; `status` is `done`, `interrupted` or `failed`."""

    def artifacts(self) -> Sequence[str]:
        """Returns the names of its files and folders in the run, to be recorded with size and sha256."""
        return ()


def mean_and_seeds(progress: Progress) -> dict[str, float]:
    """Returns the numbers of an evaluation for a service with one number per name: the mean over seeds, and, if there
    are several, each seed's as `<name>/seed_<number>`. Numbers that are not finite are kept."""
    numbers: dict[str, float] = {}
    for name, values in progress.metrics.items():
        numbers[name] = float(np.mean(values))
        if len(values) > 1:
            numbers |= {f"{name}/seed_{seed}": float(value) for seed, value in enumerate(values)}
    return numbers
