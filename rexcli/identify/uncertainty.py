"""Estimates how certain the estimates are, and which unknowns the data cannot determine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rexcli.identify.problem import Problem
from rexcli.identify.robust_losses import robust_weight

PRIOR = 1 / np.sqrt(12)
"""Standard deviation of a uniform distribution from 0 to 1: that of a number of which nothing is known."""
WIDE = 0.5
"""Share of an unknown's range; an estimate with a wider 95 % interval counts as not identifiable."""
LOOP = 3.0
"""If a delay's interval is wider than that of the sum of all delays by this factor, only the sum is known."""
AT_BOUND = 0.005
LEAST = 5e-4
"""Seconds by which an estimated delay, or sum of delays, must exceed the shortest that can act, to be identified."""
TOGETHER = 0.9
"""Correlation from which on two unknowns can hardly be told apart."""


@dataclass(frozen=True)
class Estimate:
    """The estimate of one number.

    Attributes:
        name: `world.inertia`, `edges.actuator_world.delay`, or a sum of delays.
        value, low, high: the estimate and its 95 % interval, in the unknown's unit.
        verdict: `identified`, or why it is not.
        bounds: the bounds of the search; None for a sum of delays.
        sensitivity: change of the errors over the unknown's whole range, in standard deviations of the signals.
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
    """The joint uncertainty of the estimates, in coordinates.

    Attributes:
        covariance: covariance of the unknowns, `[free, free]`.
        quantile: quantile of Student's t distribution for 95 % intervals.
        conditional: standard deviation of each unknown if all others were known, `[free]`.
        sensitivity: change of the errors over each unknown's range, in standard deviations of the signals, `[free]`.
    """

    covariance: np.ndarray
    quantile: float
    conditional: np.ndarray
    sensitivity: np.ndarray

    @property
    def deviation(self) -> np.ndarray:
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> np.ndarray:
        return self.covariance / np.outer(self.deviation, self.deviation)


def uncertainty_of(problem: Problem, z: np.ndarray) -> Uncertainty:
    """Computes the sandwich covariance of the estimates.

    Scores are summed over blocks of time that are longer than errors are correlated. No variance is less than that of
    independent errors, of which there are as many as the correlated ones are worth.

    The bounds of an unknown enter as a normal prior with the standard deviation of a uniform distribution.
    """
    from scipy.stats import t as student

    rows, errors, jacobian = problem.rows, *problem.linearize(z, central=True)
    use = rows.fitted
    counts = np.sqrt(robust_weight(problem.loss, errors / problem.loss_scale))
    errors, jacobian = (errors * counts)[use], (jacobian * counts[:, None])[use]
    block, noise = noise_of(problem, errors)
    unknown = np.arange(problem.size) < problem.num_params
    prior = np.where(unknown, noise / PRIOR**2, 0.0)
    information = jacobian.T @ jacobian
    inverse = np.linalg.pinv(information + np.diag(prior), hermitian=True)
    blocks = int(block.max()) + 1
    scores = np.zeros((blocks, problem.size))
    np.add.at(scores, block, jacobian * errors[:, None])
    meat = scores.T @ scores * blocks / max(1, blocks - 1) + np.diag(prior)
    sandwich = inverse @ meat @ inverse
    plain = inverse * noise
    wider = np.sqrt(np.maximum(1.0, np.diag(plain) / np.maximum(np.diag(sandwich), 1e-300)))
    covariance = (sandwich * np.outer(wider, wider))[np.ix_(unknown, unknown)]
    alone = np.diag(information)[unknown] / max(noise, 1e-300)
    return Uncertainty(
        covariance,
        float(student.ppf(0.975, max(2, blocks - 1))),
        1 / np.sqrt(alone + 1 / PRIOR**2),
        np.sqrt(np.mean(jacobian[:, : problem.num_params] ** 2, axis=0)),
    )


def noise_of(problem: Problem, errors: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns the time block of each fitted row, and the noise variance.

    The variance is that of the errors times the number of correlated errors that are worth one independent error.
    """
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
    return block, times * float(errors @ errors) / max(1, len(errors) - problem.size)


def _correlation_time(series: np.ndarray) -> float:
    """Returns 1 plus twice the sum of a series' autocorrelations, as far as they are positive."""
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
    """Returns the estimate and verdict of every unknown, and of the sum of delays if there are several.

    A delay's value is the time that it acts, see `Problem.effect`.
    """
    unknowns, found = problem.unknowns.free, []
    half = unsure.quantile * unsure.deviation
    total = _sum(problem, z, unsure)
    verdicts = [_verdict(problem, index, float(z[index]), unsure) for index in range(len(unknowns))]
    for index, unknown in enumerate(unknowns):
        at = float(z[index])
        reach = (at, max(0.0, at - half[index]), min(1.0, at + half[index]))
        value, low, high = (float(unknown.value(each)) for each in reach)
        if unknown.is_delay:
            edge = problem.unknowns.places[unknown.name][0]
            value, low, high = (problem.effect(edge, each) for each in (value, low, high))
            if total is None and verdicts[index] == "identified" and value - problem.effect(edge, unknown.low) < LEAST:
                verdicts[index] = _shortest(problem, [edge], [unknown.low])
            if total is not None and total.identified and high - low > LOOP * (total.high - total.low):
                others = [other.name for other in unknowns if other.is_delay and other is not unknown]
                verdicts[index] = f"not identifiable: only its sum with {' and '.join(others)} is determined"
        bounds = (unknown.low, unknown.high)
        found.append(
            Estimate(unknown.name, value, low, high, verdicts[index], bounds, float(unsure.sensitivity[index]))
        )
    return [*found, total] if total is not None else found


def _sum(problem: Problem, z: np.ndarray, unsure: Uncertainty) -> Estimate | None:
    """Returns the estimate of the sum of all delays, None if there are fewer than two."""
    unknowns = problem.unknowns.free
    delays = [index for index, unknown in enumerate(unknowns) if unknown.is_delay and not unknown.log]
    if len(delays) < 2:
        return None
    edges = [problem.unknowns.places[unknowns[index].name][0] for index in delays]
    values = [float(unknowns[index].value(float(z[index]))) for index in delays]
    slope = np.zeros(len(unknowns))
    for index in delays:
        slope[index] = problem.effect_slope(index, float(z[index]))
    deviation = float(np.sqrt(slope @ unsure.covariance @ slope))
    total = sum(problem.effect(edge, value) for edge, value in zip(edges, values, strict=True))
    spread = unsure.quantile * deviation
    width = sum(unknowns[index].high - unknowns[index].low for index in delays)
    floor = sum(problem.effect(edge, unknowns[index].low) for edge, index in zip(edges, delays, strict=True))
    if total - floor < LEAST:
        verdict = _shortest(problem, edges, [unknowns[index].low for index in delays])
    elif 2 * spread >= WIDE * width or not slope.any():
        verdict = "not identifiable: the data do not tell the delays"
    else:
        verdict = "identified"
    name = f"sum of {' and '.join(edges)}"
    return Estimate(name, total, max(0.0, total - spread), total + spread, verdict, None, 0.0)


def _shortest(problem: Problem, edges: list[str], lows: list[float]) -> str:
    """Explains why no shorter delays were found: their bounds, or the periods of simulated nodes."""
    system, rates = problem.program.system, []
    for edge, low in zip(edges, lows, strict=True):
        if problem.effect(edge, low) > low + LEAST:
            held = problem.unknowns.interpolation[edge] == "hold"
            rates.append(f"nodes.{system.edges[edge].target if held else system.edges[edge].source}.rate")
    if not rates:
        return "not identifiable: at the lower bound; widen it"
    return f"not identifiable: no shorter delay can act; simulate faster ({', '.join(dict.fromkeys(rates))})"


def _verdict(problem: Problem, index: int, at: float, unsure: Uncertainty) -> str:
    unknown, width = problem.unknowns.free[index], 2 * unsure.quantile * unsure.deviation[index]
    if 2 * unsure.quantile * unsure.conditional[index] >= WIDE:
        return "not identifiable: the data do not depend on it enough"
    if at < AT_BOUND or at > 1 - AT_BOUND:
        which, bound = ("low", unknown.low) if at < 0.5 else ("high", unknown.high)
        return f"not identifiable: at its bound, {which}={bound:g}; widen it"
    if width >= WIDE:
        return f"not identifiable: {_combination(problem, index, unsure)}"
    return "identified"


def _combination(problem: Problem, index: int, unsure: Uncertainty) -> str:
    """Names the other unknowns with which this one is determined only in combination."""
    unknowns, weights = problem.unknowns.free, np.abs(unsure.correlation[index])
    weights[index] = 0.0
    others = [other for other in np.argsort(-weights) if weights[other] > 0.5][:3]
    names = [unknowns[other].name for other in others] or ["others"]
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
    how = "a combination with"
    if len(others) == 1 and weights[others[0]] >= TOGETHER:
        other, same = unknowns[others[0]], unsure.correlation[index, others[0]] > 0
        if unknowns[index].is_delay and other.is_delay:
            how = "its difference from" if same else "its sum with"
        elif unknowns[index].log and other.log:
            how = "a ratio of powers to" if same else "a product of powers with"
    return f"only {how} {listed} is determined"
