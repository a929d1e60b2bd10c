"""Fits distributions to measured delays by maximum likelihood with censored samples; chooses the family by BIC."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError, suggest
from rexcli.fit.samples import DelaySamples, Flags
from rexcli.system.delay_families import Correlated, Family, Gamma, LogNormal, Mixture, TruncatedNormal
from rexcli.system.delays import Constant, Delay
from rexcli.system.losses import GilbertElliott, IndependentLoss, Loss
from rexcli.timeline.message_outcomes import count_losses

Floats = npt.NDArray[np.float64]

FAMILIES = ("constant", "truncated_normal", "log_normal", "gamma", "mixture")
"""The families that can be fitted."""
POINTS = 1000
"""Samples from which the likelihood is computed; more are first summed up in as many groups of neighbours."""
AT_ONCE = 3
"""Number of delays of 0 from which on their share is fitted apart from the family of the others."""
ENDS = 50
"""Of these, how many of the shortest and of the longest samples are not summed up with others."""
FEWEST = 20
"""Least number of samples to which a distribution is fitted; with fewer, the delay is their mean."""
CORRELATED = 0.1
"""Lag-1 correlation from which on a delay counts as correlated in time, if it is significant."""
DIGITS = 6
"""Significant digits of the numbers that are written."""


@dataclass(frozen=True)
class Candidate:
    """A family fitted to the delays of one node or edge.

    Attributes:
        family: one of `FAMILIES`.
        delay: the distribution of highest likelihood.
        parameters: number of fitted parameters.
        bic: Bayesian information criterion with the effective number of samples; lower is better.
        distance: the largest gap between the shares of samples and of the distribution below any time
            (Kolmogorov-Smirnov).
    """

    family: str
    delay: Delay
    parameters: int
    bic: float
    distance: float


@dataclass(frozen=True)
class DelayFit:
    """The result of fitting the delays of one node or edge.

    Attributes:
        samples: the measured delays.
        candidates: the fitted families, best first.
        correlation: lag-1 correlation of normal scores; NaN where there are too few.
        effective: number of independent samples that the correlated ones are worth.
        outliers: number of samples that the best candidate would give less than once in a thousand recordings of this
            length.
        loss: share of the messages that never arrived.
        burst: lost messages in a row, on average; 0 without loss.
        poor: whether the best candidate's distance is larger than chance explains, at a level of 1 %.
    """

    samples: DelaySamples
    candidates: tuple[Candidate, ...]
    correlation: float
    effective: float
    outliers: int
    loss: float
    burst: float

    @property
    def best(self) -> Candidate:
        return self.candidates[0]

    @property
    def poor(self) -> bool:
        return self.best.family != "constant" and self.best.distance > 1.63 / math.sqrt(max(self.effective, 1.0))

    @property
    def bursty(self) -> bool:
        """Whether losses come in longer bursts than if each message were lost independently, at a level of 1 %."""
        from scipy.stats import binom

        if not 0 < self.loss < 1 or self.burst < 1.02 / (1 - self.loss):
            return False
        lost = int(self.samples.lost.sum())
        after_another = lost - round(lost / self.burst)
        return bool(binom.sf(after_another - 1, lost, self.loss) < 0.01)

    @property
    def losses(self) -> Loss:
        """The declared form of how messages are lost: in bursts or independently."""
        share, burst = _rounded(self.loss, 4), _rounded(self.burst, 4)
        return GilbertElliott(share, burst) if self.bursty else IndependentLoss(share)

    @property
    def correlated(self) -> bool:
        """Whether the delay counts as correlated in time."""
        if self.best.family == "constant" or math.isnan(self.correlation):
            return False
        return self.correlation > max(CORRELATED, 4 / math.sqrt(len(self.samples)))

    @property
    def delay(self) -> Delay:
        """The best candidate's delay, correlated in time if the samples are."""
        return Correlated(self.best.delay, self.correlation) if self.correlated else self.best.delay


def fit(
    samples: DelaySamples, families: Sequence[str] = FAMILIES, *, components: int = 3, resolution: float = 1e-6
) -> DelayFit:
    """Fits every family to the delays and orders them by BIC.

    Args:
        samples: the measured delays.
        families: some of `FAMILIES`.
        components: most components of a mixture.
        resolution: resolution of the clock, s: delays that spread less are constant, and a shorter delay is known only
            to be at most this long.

    Raises:
        RexError: a family is unknown, or there is no sample.
    """
    for name in families:
        if name not in FAMILIES:
            raise RexError(f"family '{name}': there is no such family{suggest(name, list(FAMILIES))}")
    where = f"{samples.kind} '{samples.name}'"
    if not (~samples.at_least).any():
        raise RexError(f"{where}: no delay was measured; record for longer")
    correlation = _autocorrelation(samples)
    share = (1 - correlation) / (1 + correlation) if correlation > 0 else 1.0
    effective = max(1.0, len(samples) * share)
    known = np.sort(samples.seconds[~samples.at_least])
    low, middle, high = np.quantile(known, [0.01, 0.5, 0.99])
    loss, burst = count_losses(samples.lost, samples.lost_episode)
    if high - low <= max(resolution, 1e-3 * middle) or len(known) < FEWEST or list(families) == ["constant"]:
        constant = Constant(_rounded(float(middle if high - low <= max(resolution, 1e-3 * middle) else known.mean())))
        outside = int((np.abs(known - middle) > 10 * max(resolution, 1e-3 * middle)).sum())
        only = Candidate("constant", constant, 1, 0.0, 0.0)
        return DelayFit(samples, (only,), float("nan"), effective, outside, loss, burst)
    nothing = ~samples.at_least & (samples.seconds <= resolution)
    at_once = float(nothing.mean()) if nothing.sum() >= AT_ONCE else 0.0
    points = _Points.of(samples, resolution, without=nothing if at_once else None)
    found = []
    for family in families:
        for part, parameters in _FITS[family](points, components) if family in _FITS else ():
            likelihood = points.log_likelihood(part)
            if math.isfinite(likelihood):
                bic = parameters * math.log(effective) - 2 * likelihood * effective / len(samples)
                delay = Mixture([0.0, part], [at_once, 1 - at_once]) if at_once else part
                found.append(Candidate(family, delay, parameters + (at_once > 0), bic, _distance(delay, known)))
    if not found:
        raise RexError(f"{where}: no family of {', '.join(families)} fits its {len(samples)} samples")
    candidates = tuple(sorted(found, key=lambda candidate: candidate.bic))
    share_beyond = 1 - np.asarray(candidates[0].delay.cdf(known))
    outliers = int((share_beyond < 1e-3 / len(known)).sum())
    return DelayFit(samples, candidates, correlation, effective, outliers, loss, burst)


def plain(delay: Delay | Loss) -> Any:
    """Returns what declares a delay or a loss in YAML: seconds, a share, or a mapping with a `_target_`."""
    match delay:
        case IndependentLoss():
            return delay.share
        case GilbertElliott():
            return _target(delay, share=delay.share, burst=delay.burst)
        case Constant():
            return delay.seconds
        case Correlated():
            return _target(delay, delay=plain(delay.delay), correlation=_rounded(delay.correlation, 3))
        case Mixture():
            weights = [_rounded(share, 4) for share in delay.weights.tolist()]
            return _target(delay, delays=[plain(part) for part in delay.delays], weights=weights)
        case TruncatedNormal() | LogNormal():
            return _target(delay, loc=_rounded(delay.loc), scale=_rounded(delay.scale))
        case Gamma():
            return _target(delay, concentration=_rounded(delay.concentration), rate=_rounded(delay.rate))
    raise RexError(f"delay {delay!r}: this was not fitted")


def _target(of: Delay | Loss, /, **options: Any) -> dict[str, Any]:
    return {"_target_": f"rexcli.{type(of).__name__}", **options}


def _rounded(value: float, digits: int = DIGITS) -> float:
    return float(f"{value:.{digits}g}")


@dataclass(frozen=True)
class _Points:
    """Weighted samples, `[points]`: exact ones, and ones known only to be at most or at least so long."""

    seconds: Floats
    weights: Floats
    at_most: Floats
    at_most_weights: Floats
    at_least: Floats
    at_least_weights: Floats

    @classmethod
    def of(cls, samples: DelaySamples, resolution: float, without: Flags | None) -> _Points:
        """Returns the weighted samples, except those that `without` marks."""
        counts = np.ones(len(samples), bool) if without is None else ~without
        short = samples.seconds <= resolution
        seconds = np.maximum(samples.seconds, resolution)
        at_most = counts & ~samples.at_least & (samples.at_most | short)
        exact = counts & ~samples.at_least & ~at_most
        return cls(
            *_grouped(seconds[exact]), *_grouped(seconds[at_most]), *_grouped(seconds[counts & samples.at_least])
        )

    def log_likelihood(self, delay: Delay) -> float:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            total = float(np.dot(self.weights, _log_density(delay, self.seconds)))
            if len(self.at_most):
                total += float(np.dot(self.at_most_weights, np.log(delay.cdf(self.at_most))))
            if len(self.at_least):
                total += float(np.dot(self.at_least_weights, np.log1p(-delay.cdf(self.at_least))))
        return total

    @property
    def all(self) -> tuple[Floats, Floats]:
        """All samples and their weights as if each were exact, for a first guess."""
        return (
            np.concatenate([self.seconds, self.at_most, self.at_least]),
            np.concatenate([self.weights, self.at_most_weights, self.at_least_weights]),
        )

    @property
    def censored(self) -> bool:
        return bool(len(self.at_most) or len(self.at_least))


def _log_density(delay: Delay, seconds: Floats) -> Floats:
    assert isinstance(delay, Family)
    return delay.log_density(seconds)


def _grouped(seconds: Floats) -> tuple[Floats, Floats]:
    """Returns at most `POINTS` means of neighbours, and the number of samples that each stands for."""
    ordered = np.sort(seconds)
    if len(ordered) <= POINTS:
        return ordered, np.ones(len(ordered))
    # The first and the last samples stay as they are: no sample was the mean of an outlier and its neighbours.
    middle = np.linspace(ENDS, len(ordered) - ENDS, POINTS - 2 * ENDS + 1).astype(np.int64)
    edges = np.concatenate([np.arange(ENDS), middle, np.arange(len(ordered) - ENDS + 1, len(ordered) + 1)])
    counts = np.diff(edges)
    return np.add.reduceat(ordered, edges[:-1]) / counts, counts.astype(np.float64)


def _highest(points: _Points, make: Callable[[Floats], Delay], start: Sequence[float]) -> Delay:
    """Returns the distribution of highest likelihood, from unbounded parameters near `start`."""
    from scipy.optimize import minimize

    def cost(parameters: Floats) -> float:
        try:
            likelihood = points.log_likelihood(make(parameters))
        except (RexError, OverflowError):
            return 1e300
        return -likelihood if math.isfinite(likelihood) else 1e300

    first = np.asarray(start, np.float64)
    options = {"xatol": 1e-5, "fatol": 1e-4, "maxiter": 300 * len(first), "maxfev": 300 * len(first)}
    found = minimize(cost, first, method="Nelder-Mead", options=options)
    return make(found.x)


def _fit_truncated_normal(points: _Points, components: int) -> list[tuple[Delay, int]]:
    x, w = points.all
    mean, deviation = _moments(x, w)

    def make(p: Floats) -> Delay:
        return TruncatedNormal(mean + deviation * p[0], deviation * math.exp(p[1]))

    return [(_highest(points, make, [0.0, 0.0]), 2)]


def _fit_log_normal(points: _Points, components: int) -> list[tuple[Delay, int]]:
    x, w = points.all
    loc, scale = _moments(np.log(x), w)
    if not points.censored:
        return [(LogNormal(loc, scale), 2)]

    def make(p: Floats) -> Delay:
        return LogNormal(loc + scale * p[0], scale * math.exp(p[1]))

    return [(_highest(points, make, [0.0, 0.0]), 2)]


def _fit_gamma(points: _Points, components: int) -> list[tuple[Delay, int]]:
    x, w = points.all
    mean, deviation = _moments(x, w)
    shape = (mean / deviation) ** 2

    def make(p: Floats) -> Delay:
        concentration = shape * math.exp(p[0])
        return Gamma(concentration, concentration / (mean * math.exp(p[1])))

    return [(_highest(points, make, [0.0, 0.0]), 2)]


def _fit_mixture(points: _Points, components: int) -> list[tuple[Delay, int]]:
    """Fits mixtures of normals and of log-normals by expectation maximisation, starting from quantiles."""
    x, w = points.all
    found: list[tuple[Delay, int]] = []
    for count in range(2, components + 1):
        for values, part in ((x, TruncatedNormal), (np.log(x), LogNormal)):
            locs, scales, shares = _expectation_maximisation(values, w, count)
            parts: list[Delay] = []
            for loc, scale in zip(locs.tolist(), scales.tolist(), strict=True):
                try:
                    parts.append(part(loc, scale))
                except RexError:
                    break
            if len(parts) == count:
                found.append((Mixture(parts, shares.tolist()), 3 * count - 1))
    return found


def _expectation_maximisation(x: Floats, w: Floats, count: int) -> tuple[Floats, Floats, Floats]:
    """Fits a mixture of normals by expectation maximisation; returns means, deviations and shares, `[count]` each."""
    order = np.argsort(x)
    place = (np.cumsum(w[order]) - w[order] / 2) / w.sum()
    _, deviation = _moments(x, w)
    best: tuple[float, Floats, Floats, Floats] | None = None
    for start in _starts(count):
        locs = np.interp(start, place, x[order])
        scales, shares = np.full(count, deviation / count), np.full(count, 1 / count)
        likelihood = -np.inf
        for _ in range(200):
            z = (x[:, None] - locs) / scales
            logs = -0.5 * z**2 - np.log(scales) - 0.5 * math.log(2 * math.pi) + np.log(shares)
            most = logs.max(1, keepdims=True)
            each = np.exp(logs - most)
            total = each.sum(1, keepdims=True)
            before, likelihood = likelihood, float(np.dot(w, (most + np.log(total))[:, 0]))
            if likelihood - before < 1e-3:
                break
            weights = w[:, None] * each / total
            mass = weights.sum(0) + 1e-12
            locs = (weights * x[:, None]).sum(0) / mass
            variances = (weights * (x[:, None] - locs) ** 2).sum(0) / mass
            scales = np.sqrt(np.maximum(variances, (0.01 * deviation) ** 2))
            shares = mass / mass.sum()
        if best is None or likelihood > best[0]:
            best = likelihood, locs, scales, shares
    assert best is not None
    return best[1:]


def _starts(count: int) -> list[Floats]:
    """Returns quantiles at which the components of a mixture may begin: evenly, or with one in either tail."""
    even = (np.arange(count) + 0.5) / count
    return [even, np.append(even[:-1] * 0.9, 0.98), np.append(0.02, 0.1 + even[1:] * 0.9)]


_FITS: dict[str, Callable[[_Points, int], list[tuple[Delay, int]]]] = {
    "truncated_normal": _fit_truncated_normal,
    "log_normal": _fit_log_normal,
    "gamma": _fit_gamma,
    "mixture": _fit_mixture,
}


def _moments(x: Floats, w: Floats) -> tuple[float, float]:
    mean = float(np.dot(x, w) / w.sum())
    return mean, max(math.sqrt(float(np.dot((x - mean) ** 2, w) / w.sum())), 1e-12)


def _distance(delay: Delay, ordered: Floats) -> float:
    times, counts = np.unique(ordered, return_counts=True)
    upto = np.cumsum(counts) / len(ordered)
    before = np.append(0.0, upto[:-1])
    gaps = np.abs(upto - delay.cdf(times)), np.abs(before - delay.cdf(np.nextafter(times, -np.inf)))
    return float(max(gap.max() for gap in gaps))


def _autocorrelation(samples: DelaySamples) -> float:
    """Returns the lag-1 correlation of normal scores of exact samples within episodes; NaN for too few."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    exact = ~(samples.at_most | samples.at_least)
    if exact.sum() < FEWEST or np.ptp(samples.seconds[exact]) == 0:
        return 0.0
    score = np.full(len(samples), np.nan)
    score[exact] = ndtri((rankdata(samples.seconds[exact]) - 0.5) / exact.sum())
    follows = samples.episode[1:] == samples.episode[:-1]
    first, then = score[:-1][follows], score[1:][follows]
    both = np.isfinite(first) & np.isfinite(then)
    if both.sum() < FEWEST:
        return 0.0
    return float(np.clip(np.mean(first[both] * then[both]) / np.mean(score[exact] ** 2), -0.999, 0.999))
