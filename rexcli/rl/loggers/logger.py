"""What a logger is, and what it is told of the run."""

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
        path: its folder, where a logger's files belong.
        experiment: its name.
        seeds: how many policies are trained at once.
        config: the whole experiment, plain data.
        updates, timesteps: of each seed, where a training that was stopped goes on; 0 where it begins.
    """

    path: Path
    experiment: str
    seeds: int
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    updates: int = 0
    timesteps: int = 0


class Logger(ABC):
    """Takes a training's numbers after every evaluation. Derive from it, in `nodes/`, for one of your own.

    An experiment names it under `loggers`, with the arguments of its `__init__`. An error in `start` ends the training
    before it begins; one that comes later costs the logger, not the training.
    """

    def start(self, run: LoggedRun) -> str | None:
        """Opens what is written to; the run's folder is there. Rows of later updates than `run.updates`, which a
        stopped training wrote after its last checkpoint, come again.

        Returns:
            What a person may want to know, such as where to look; None for nothing.
        """
        return None

    @abstractmethod
    def log(self, progress: Progress) -> None:
        """Takes the numbers of one evaluation, `progress.metrics`: by name, `[num_seeds]`."""

    def finish(self, status: str) -> None:  # noqa: B027 - there may be nothing to close
        """Closes it: `done`, `interrupted` or `failed`."""

    def artifacts(self) -> Sequence[str]:
        """Names of the files and folders that it left in the run, to be noted with size and sha256."""
        return ()


def mean_and_seeds(progress: Progress) -> dict[str, float]:
    """The numbers of an evaluation for a service that knows one number a name: the mean over seeds, and, of several,
    each seed's as `<name>/seed_<number>`. What is not finite stays so."""
    numbers: dict[str, float] = {}
    for name, values in progress.metrics.items():
        numbers[name] = float(np.mean(values))
        if len(values) > 1:
            numbers |= {f"{name}/seed_{seed}": float(value) for seed, value in enumerate(values)}
    return numbers
