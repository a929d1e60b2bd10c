"""What an optimiser does, and the search that it is given."""

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
"""Is told how much of the search is done, 0 to 1, and a few words."""


@dataclass(frozen=True)
class Optimum:
    """The best candidate that was found.

    Attributes:
        z: coordinates, `[size]`.
        cost: its mean loss.
    """

    z: np.ndarray
    cost: float


@dataclass
class Search:
    """A problem being searched: keeps the loss curve.

    Attributes:
        problem: whose cost is to be small.
        rng: of the optimiser.
        progress: is told how it goes.
        curve: episodes simulated so far, the least cost so far and which stage this was, a row an evaluation.
        stage: of the search.
    """

    problem: Problem
    rng: np.random.Generator
    progress: Progress
    curve: list[tuple[int, float, str]] = field(default_factory=list)
    stage: str = ""

    def note(self, cost: float, share: float) -> None:
        """Another evaluation, of which `cost` is the least."""
        before = [row[1] for row in self.curve if row[2] == self.stage]
        best = min([float(cost), *before[-1:]])
        self.curve.append((self.problem.rollouts, best, self.stage))
        self.progress(share, f"loss {best:.3g}")

    def costs(self, z: np.ndarray, width: int | None = None) -> np.ndarray:
        """Of candidates, `[candidates]`."""
        return self.problem.cost(self.problem.errors(z, width))

    def scattered(self, count: int) -> np.ndarray:
        """Candidates all over the bounds, the declared start first, `[count, size]` (a Latin hypercube)."""
        from scipy.stats import qmc

        problem = self.problem
        found = np.tile(problem.start(), (count, 1))
        if count > 1:
            sampler = qmc.LatinHypercube(problem.num_params, rng=self.rng)
            found[1:, : problem.num_params] = sampler.random(count - 1)
        return found

    def check(self, best: Optimum) -> Optimum:
        """Refuses a search that came to nothing.

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
    """Finds a candidate of small cost. Settings are arguments of `__init__`.

    Attributes:
        slopes: it goes down slopes, and finds nothing where errors change in jumps.
    """

    slopes: ClassVar[bool] = False

    def check(self, unknowns: Unknowns) -> None:
        """Refuses what this optimiser cannot find.

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
        """Searches; tells `search.note` of every evaluation."""
