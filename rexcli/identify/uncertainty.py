"""How sure estimates are, and what the data cannot tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from rexcli.identify.problem import Problem, robust_weight

PRIOR = 1 / np.sqrt(12)
"""The standard deviation of a number between 0 and 1 of which nothing is known."""
FLAT = 0.7
"""Of `PRIOR`: an estimate that is no surer than this is none."""
AT_BOUND = 0.005
TOGETHER = 0.9
"""A correlation from which on two estimates are told apart by little."""


@dataclass(frozen=True)
class Estimate:
    """What was found of one number.

    Attributes:
        name: `world.inertia`, `edges.actuator_world.delay`, or what several give together.
        value, low, high: the estimate and its 95 % interval, in its own unit.
        verdict: `identified`, or why it is not.
        bounds: within which it was looked for; None of what several give together.
        sensitivity: by how much errors change over the whole range, in standard deviations of the signals.
    """

    name: str
    value: float
    low: float
    high: float
    verdict: str
    bounds: tuple[float, float] | None
    sensitivity: float

    @property
    def identified(self) -> bool:
        return self.verdict == "identified"


@dataclass(frozen=True)
class Uncertainty:
    """Of the estimates together, in coordinates.

    Attributes:
        covariance: of the unknowns, `[free, free]`.
        quantile: of Student's t, for 95 % intervals.
        eigenvalues, eigenvectors: of the information on the unknowns, least first; vectors are columns.
    """

    covariance: np.ndarray
    quantile: float
    eigenvalues: np.ndarray
    eigenvectors: np.ndarray
    conditional: np.ndarray
    sensitivity: np.ndarray

    @property
    def deviation(self) -> np.ndarray:
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> np.ndarray:
        return self.covariance / np.outer(self.deviation, self.deviation)


def uncertainty_of(problem: Problem, z: np.ndarray) -> Uncertainty:
    """By the sandwich of information and scores, summed over blocks of time that are longer than errors are correlated;
    no number is taken for surer than independent errors, thinned by their correlation, would make it.

    What the data do not tell of a number, its bounds do: a normal prior with the deviation of a uniform one.
    """
    rows, errors, jacobian = problem.rows, *problem.linearize(z)
    use = rows.fitted
    counts = np.sqrt(robust_weight(problem.loss, errors / problem.loss_scale))
    errors, jacobian = (errors * counts)[use], (jacobian * counts[:, None])[use]
    block, times = _blocks(problem, errors)
    unknown = np.arange(problem.size) < problem.num_params
    variance = float(errors @ errors) / max(1, len(errors) - problem.size)
    prior = np.where(unknown, variance * times / PRIOR**2, 0.0)
    information = jacobian.T @ jacobian
    inverse = np.linalg.pinv(information + np.diag(prior), hermitian=True)
    blocks = int(block.max()) + 1
    scores = np.zeros((blocks, problem.size))
    np.add.at(scores, block, jacobian * errors[:, None])
    meat = scores.T @ scores * blocks / max(1, blocks - 1) + np.diag(prior)
    sandwich = inverse @ meat @ inverse
    plain = inverse * variance * times
    wider = np.sqrt(np.maximum(1.0, np.diag(plain) / np.maximum(np.diag(sandwich), 1e-300)))
    covariance = (sandwich * np.outer(wider, wider))[np.ix_(unknown, unknown)]
    states = ~unknown
    reduced = information[np.ix_(unknown, unknown)]
    if states.any():
        cross = information[np.ix_(unknown, states)]
        reduced = reduced - cross @ np.linalg.pinv(information[np.ix_(states, states)], hermitian=True) @ cross.T
    eigenvalues, eigenvectors = np.linalg.eigh(reduced / max(variance * times, 1e-300))
    alone = np.diag(information)[unknown] / max(variance * times, 1e-300)
    return Uncertainty(
        covariance,
        float(stats.t.ppf(0.975, max(2, blocks - 1))),
        eigenvalues,
        eigenvectors,
        1 / np.sqrt(alone + 1 / PRIOR**2),
        np.sqrt(np.mean(jacobian[:, : problem.num_params] ** 2, axis=0)),
    )


def _blocks(problem: Problem, errors: np.ndarray) -> tuple[np.ndarray, float]:
    """The block of time that each fitted row is in, and how many rows are worth one independent one."""
    rows, use = problem.rows, problem.rows.fitted
    signal, episode, step = rows.signal[use], rows.episode[use], rows.step[use]
    times = 1.0
    for index in range(len(problem.signals)):
        for number in range(problem.timeline.num_episodes):
            series = errors[(signal == index) & (episode == number)]
            times = max(times, _correlation_time(series))
    steps = int(problem.timeline.num_steps.max())
    total = len(np.unique(episode * steps + step))
    length = int(np.clip(round(3 * times), 1, max(1, total // 12)))
    _, block = np.unique(episode * steps + step // length, return_inverse=True)
    return block, times


def _correlation_time(series: np.ndarray) -> float:
    """1 + 2 times the autocorrelations, as far as they are positive."""
    series = series - series.mean() if len(series) else series
    power = float(series @ series)
    if len(series) < 8 or power <= 0:
        return 1.0
    total = 1.0
    for lag in range(1, len(series) // 4):
        correlation = float(series[:-lag] @ series[lag:]) / power
        if correlation <= 0.05:
            break
        total += 2 * correlation
    return total


def estimates_of(problem: Problem, z: np.ndarray, unsure: Uncertainty) -> list[Estimate]:
    """What to say of every unknown, and of the sum of delays if there are several."""
    unknowns, found = problem.unknowns.free, []
    half = unsure.quantile * unsure.deviation
    for index, unknown in enumerate(unknowns):
        at = float(z[index])
        low, high = max(0.0, at - half[index]), min(1.0, at + half[index])
        verdict = _verdict(problem, index, at, unsure)
        value = float(unknown.value(at))
        least, most = float(unknown.value(low)), float(unknown.value(high))
        bounds = (unknown.low, unknown.high)
        found.append(Estimate(unknown.name, value, least, most, verdict, bounds, float(unsure.sensitivity[index])))
    delays = [index for index, unknown in enumerate(unknowns) if unknown.is_delay and not unknown.log]
    if len(delays) > 1:
        slope = np.zeros(len(unknowns))
        slope[delays] = [unknowns[index].high - unknowns[index].low for index in delays]
        deviation = float(np.sqrt(slope @ unsure.covariance @ slope))
        total = sum(found[index].value for index in delays)
        spread = unsure.quantile * deviation
        flat = deviation >= FLAT * PRIOR * float(np.sqrt(slope @ slope))
        verdict = "not identifiable: the data do not tell the delays at all" if flat else "identified"
        name = "sum of " + " and ".join(unknowns[index].name.split(".")[1] for index in delays)
        found.append(Estimate(name, total, max(0.0, total - spread), total + spread, verdict, None, 0.0))
    return found


def _verdict(problem: Problem, index: int, at: float, unsure: Uncertainty) -> str:
    unknowns = problem.unknowns.free
    if unsure.deviation[index] >= FLAT * PRIOR:
        if unsure.conditional[index] >= FLAT * PRIOR:
            return "not identifiable: the data do not depend on it"
        weights = np.abs(unsure.correlation[index])
        weights[index] = 0.0
        others = [i for i in np.argsort(-weights) if weights[i] > 0.5][:3]
        names = " and ".join(unknowns[other].name for other in others) or "others"
        return f"not identifiable: only {_combination(problem, index, others, unsure)} {names} is determined"
    if at < AT_BOUND or at > 1 - AT_BOUND:
        unknown = unknowns[index]
        which, bound = ("low", unknown.low) if at < 0.5 else ("high", unknown.high)
        return f"not identifiable: at its bound, {which}={bound:g}; widen it"
    if 2 * unsure.quantile * unsure.deviation[index] >= 1.0:
        return "not identifiable: its interval covers its range"
    return "identified"


def _combination(problem: Problem, index: int, others: list[int], unsure: Uncertainty) -> str:
    if len(others) != 1:
        return "a combination with"
    other, unknowns = others[0], problem.unknowns.free
    together = unsure.correlation[index, other]
    if abs(together) < TOGETHER:
        return "a combination with"
    if unknowns[index].is_delay and unknowns[other].is_delay:
        return "its sum with" if together < 0 else "its difference from"
    if unknowns[index].log and unknowns[other].log:
        return "a product of powers with" if together < 0 else "a ratio of powers to"
    return "a combination with"
