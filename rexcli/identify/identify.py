"""Runs a whole identification: search, refinement, confidence intervals and errors on held-out data."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from rexcli.errors import RexError
from rexcli.identify.levenberg import LevenbergMarquardt, descend
from rexcli.identify.optimizer import Optimizer, Optimum, Progress, Search
from rexcli.identify.problem import Problem
from rexcli.identify.uncertainty import PRIOR, Estimate, Uncertainty, estimates_of, noise_of, uncertainty_of

FEWEST = 5
"""Least number of recorded values per unknown."""
FAR = 0.5
"""Standard deviations of the signals; a simulation whose error is larger reproduces nothing."""


@dataclass(frozen=True)
class Identification:
    """The result of an identification.

    Attributes:
        problem: the problem that was solved.
        z: the estimate, in coordinates.
        estimates: one for every unknown, with its interval and verdict.
        uncertainty: of all estimates together.
        curve: episodes simulated, least loss and stage, one row per evaluation.
        errors: root mean square errors by signal, in the signal's deviations: fitted, held out (NaN if nothing is).
        simulated: the signals simulated with the estimate, in the order of `problem.rows`.
        rollouts: total number of simulated episodes.
        seconds: wall time.
    """

    problem: Problem
    z: np.ndarray
    estimates: list[Estimate]
    uncertainty: Uncertainty
    curve: list[tuple[int, float, str]]
    errors: dict[str, tuple[float, float]]
    simulated: np.ndarray
    rollouts: int
    seconds: float

    def values(self) -> dict[str, float]:
        """Returns every declared number by name, including shared and fixed ones."""
        return {name: float(value) for name, value in self.problem.unknowns.values(self.z).items()}

    @property
    def reproduces(self) -> bool:
        """Whether the simulation with the estimate resembles the fitted data; if not, nothing counts as identified."""
        return self.mean_error(held_out=False) <= FAR

    def mean_error(self, held_out: bool) -> float:
        """Returns the mean error over all signals, in their standard deviations."""
        squares = [pair[int(held_out)] ** 2 for pair in self.errors.values()]
        return float(np.sqrt(np.mean(squares)))


def identify(
    problem: Problem, optimizer: Optimizer | None = None, *, seed: int, refine: int, progress: Progress
) -> Identification:
    """Finds the unknowns of a problem.

    Args:
        problem: the problem to solve.
        optimizer: `LevenbergMarquardt()` if None.
        seed: seed of the optimiser's random numbers.
        refine: how often the signals are weighted anew by their errors and fitted again.
        progress: called with the share of the search that is done.

    Raises:
        RexError: there are too few recorded values.
        RunError: no simulation stays finite.
    """
    began = time.perf_counter()
    values = int(problem.rows.fitted.sum())
    if values < FEWEST * problem.size:
        raise RexError(
            f"{values} recorded values are too few for {problem.size} unknown numbers; record longer, hold out less "
            "(identify.held_out), or estimate fewer"
        )
    search = Search(problem, np.random.default_rng(seed), progress, stage="search")
    found = (optimizer or LevenbergMarquardt()).minimize(search)
    for number in range(refine):
        search.stage = f"refine {number + 1}"
        _weigh(problem, found)
        pull = noise_of(problem, problem.errors(found.z[None])[0][problem.rows.fitted])[1] / PRIOR**2
        found = search.check(descend(search, found.z, 8, 1e-5, pull=pull))
    unsure = uncertainty_of(problem, found.z)
    problem.estimate_ahead(found.z)
    simulated = problem.pick(problem.simulate(found.z[None]))[0]
    identification = Identification(
        problem,
        found.z,
        estimates_of(problem, found.z, unsure),
        unsure,
        search.curve,
        _errors(problem, simulated),
        simulated,
        problem.rollouts,
        time.perf_counter() - began,
    )
    if identification.reproduces:
        return identification
    verdict = "not identifiable: the recording is not reproduced"
    doubted = [replace(each, verdict=verdict) if each.identified else each for each in identification.estimates]
    return replace(identification, estimates=doubted)


def _weigh(problem: Problem, found: Optimum) -> None:
    """Weights each signal by the inverse of its error, such that the total error stays as large as it is."""
    errors, rows = problem.errors(found.z[None])[0], problem.rows
    each = [errors[rows.fitted & (rows.signal == index)] for index in range(len(problem.signals))]
    size = np.array([max(float(np.sqrt(np.mean(part**2))), 1e-6) if len(part) else 1.0 for part in each])
    problem.weights = problem.weights * float(np.sqrt(np.mean(size**2))) / np.maximum(size, 0.02 * size.max())


def _errors(problem: Problem, simulated: np.ndarray) -> dict[str, tuple[float, float]]:
    rows, found = problem.rows, {}
    for index, signal in enumerate(problem.signals):
        difference = signal.difference(simulated, rows.recorded) / signal.deviation
        pair = []
        for fitted in (True, False):
            part = difference[(rows.signal == index) & (rows.fitted == fitted)]
            pair.append(float(np.sqrt(np.mean(part**2))) if len(part) else float("nan"))
        found[signal.name] = pair[0], pair[1]
    return found
