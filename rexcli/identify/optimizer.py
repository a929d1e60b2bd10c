"""Defines what an optimiser does, and the search that it is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from rexcli.errors import RexError, RunError
from rexcli.identify.problem import HUGE, Problem
from rexcli.identify.unknowns import Unknowns

Progress = Callable[[float, str], None]
"""A function that is called with the share of the search that is done, 0 to 1, and a few words."""


@dataclass(frozen=True)
class Optimum:
    """The best candidate that a search found.

    Attributes:
        z: coordinates, `[size]`.
        cost: its mean loss.
    """

    z: np.ndarray
    cost: float


@dataclass
class Search:
    """A problem that is being searched, with its loss curve.

    Attributes:
        problem: the problem whose cost is minimised.
        rng: random numbers for the optimiser.
        progress: called with the share of the search that is done and a few words.
        curve: episodes simulated so far, the least cost so far and the stage, one row per evaluation.
        stage: the current stage of the search.
    """

    problem: Problem
    rng: np.random.Generator
    progress: Progress
    curve: list[tuple[int, float, str]] = field(default_factory=list)
    stage: str = ""

    def note(self, cost: float, share: float) -> None:
        """Notes an evaluation, of whose candidates `cost` is the least."""
        before = [row[1] for row in self.curve if row[2] == self.stage]
        best = min([float(cost), *before[-1:]])
        self.curve.append((self.problem.rollouts, best, self.stage))
        self.progress(share, f"loss {best:.3g}")

    def costs(self, z: np.ndarray, width: int | None = None) -> np.ndarray:
        """Returns the costs of candidates, `[candidates]`."""
        return self.problem.cost(self.problem.errors(z, width))

    def scattered(self, count: int) -> np.ndarray:
        """Returns candidates spread over the bounds (a Latin hypercube), the declared start first, `[count, size]`."""
        from scipy.stats import qmc

        problem = self.problem
        found = np.tile(problem.start(), (count, 1))
        if count > 1:
            sampler = qmc.LatinHypercube(problem.num_params, rng=self.rng)
            found[1:, : problem.num_params] = sampler.random(count - 1)
        return found

    def check(self, best: Optimum) -> Optimum:
        """Returns `best`, or refuses a search that found nothing.

        Raises:
            RunError: no simulation was finite.
        """
        if not np.isfinite(best.cost) or best.cost >= 0.5 * HUGE**2:
            raise RunError(
                "the search diverged: no candidate's simulation stays finite; give narrower bounds, another init, or "
                "identify.segment=1.0, so that errors do not grow"
            )
        return best


class Optimizer(ABC):
    """An algorithm that finds a candidate of small cost. Its settings are arguments of `__init__`.

    Attributes:
        slopes: whether it follows derivatives, and so fails where errors change in jumps.
    """

    slopes: ClassVar[bool] = False

    def check(self, unknowns: Unknowns) -> None:
        """Refuses unknowns that this optimiser cannot find.

        Raises:
            RexError: a delay is simulated with interpolation=latest, and so acts in jumps.
        """
        for unknown in unknowns.free if self.slopes else ():
            edge = unknowns.places[unknown.name][0]
            if unknown.is_delay and unknowns.interpolation[edge] == "latest":
                raise RexError(
                    f"identify.edges.{edge}: interpolation=latest has no slope, so neither gradients nor least squares "
                    "find it; give hold (commands) or linear (samples), or identify/optimizer=cem"
                )

    @abstractmethod
    def minimize(self, search: Search) -> Optimum:
        """Searches for the best candidate; calls `search.note` after every evaluation."""
