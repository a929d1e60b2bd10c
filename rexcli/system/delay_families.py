"""Defines delay distributions without a probability library: non-negative families, mixtures, and time series.

They are declared like `{_target_: rexcli.LogNormal, loc: -4.2, scale: 0.3}`, which is also what `rex fit` writes.
Importing them takes no time, unlike distrax. The formulas are those of Johnson, Kotz and Balakrishnan, Continuous
Univariate Distributions; quantiles are SciPy's.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from statistics import NormalDist
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError
from rexcli.system.adjustable import AdjustableDelay
from rexcli.system.delays import Delay, as_delay

Floats = npt.NDArray[np.float64]
_erfc = np.vectorize(math.erfc, otypes=[np.float64])  # SciPy's takes longer to import than everything else here

SCORES = np.linspace(-5.5, 5.5, 705)
"""Normal scores at which the quantiles of a correlated delay are tabulated, with linear interpolation in between."""


class Family(Delay):
    """A continuous distribution of non-negative times with a known distribution function."""

    def density(self, seconds: npt.ArrayLike) -> Floats:
        return np.exp(self.log_density(np.asarray(seconds, np.float64)))

    def quantile(self, share: float) -> float:
        return float(self.quantiles(np.array([share]))[0])

    @abstractmethod
    def log_density(self, seconds: Floats) -> Floats:
        """Returns the logarithm of the density at `seconds`, 1/s; -inf below 0."""

    @abstractmethod
    def cdf(self, seconds: npt.ArrayLike) -> Floats:
        """Returns the probability of at most `seconds`."""

    @abstractmethod
    def quantiles(self, shares: Floats) -> Floats:
        """Returns the times, seconds, below which these shares of the samples lie."""


class Normal(Delay):
    """A normal distribution whose samples below 0 are set to 0: the same times as of `distrax.Normal`.

    Args:
        loc, scale: mean and standard deviation before negative samples are set to 0, seconds.
    """

    def __init__(self, loc: float, scale: float):
        _check(self, loc=loc, scale=scale)
        _check_positive(self, scale=scale)
        self.loc, self.scale = float(loc), float(scale)

    def __repr__(self) -> str:
        return f"Normal(loc={self.loc:g}, scale={self.scale:g})"

    def sample(self, key: jax.Array, num: int) -> jax.Array:
        return _draw_normal(self.loc, self.scale, key, num)

    def sample_episodes(self, key: jax.Array, episodes: npt.NDArray[np.integer], num: int) -> npt.NDArray[np.float32]:
        return np.asarray(_draw_normal_episodes(self.loc, self.scale, key, jnp.asarray(episodes, jnp.uint32), num))

    def density(self, seconds: npt.ArrayLike) -> Floats:
        z = (np.asarray(seconds, np.float64) - self.loc) / self.scale
        return np.exp(-0.5 * z**2) / (self.scale * np.sqrt(2 * np.pi))

    def cdf(self, seconds: npt.ArrayLike) -> Floats:
        x = np.asarray(seconds, np.float64)
        return np.where(x < 0, 0.0, _erfc((self.loc - x) / (self.scale * math.sqrt(2))) / 2)

    def quantile(self, share: float) -> float:
        return max(0.0, self.loc + self.scale * NormalDist().inv_cdf(share))

    def quantiles(self, shares: Floats) -> Floats:
        from scipy.special import ndtri

        return np.maximum(self.loc + self.scale * ndtri(shares), 0.0)


@partial(jax.jit, static_argnums=3)
def _draw_normal(loc: float, scale: float, key: jax.Array, num: int) -> jax.Array:
    return jnp.maximum(loc + scale * jax.random.normal(key, (num,)), 0.0)


@partial(jax.jit, static_argnums=4)
def _draw_normal_episodes(loc: float, scale: float, key: jax.Array, episodes: jax.Array, num: int) -> jax.Array:
    """Draws the samples of episodes; compiled once for the whole family, since its parameters are inputs."""
    return jax.vmap(lambda episode: _draw_normal(loc, scale, jax.random.fold_in(key, episode), num))(episodes)


class TruncatedNormal(Family):
    """A normal distribution conditioned on being non-negative, so that no samples accumulate at 0.

    Args:
        loc, scale: mean and standard deviation of the normal distribution before truncation, seconds.
    """

    def __init__(self, loc: float, scale: float):
        _check(self, loc=loc, scale=scale)
        _check_positive(self, scale=scale)
        self.loc, self.scale = float(loc), float(scale)
        if loc < -8 * scale:
            raise RexError(f"delay {self!r}: loc lies more than 8 scales below 0; nearly nothing is left of it above 0")

    def __repr__(self) -> str:
        return f"TruncatedNormal(loc={self.loc:g}, scale={self.scale:g})"

    def sample(self, key: jax.Array, num: int) -> jax.Array:
        # From the upper tail's probability, which float32 resolves where lower probabilities all round to 1.
        above = 1 - jax.random.uniform(key, (num,))
        scores = jsp.ndtri(above * jsp.ndtr(jnp.float32(self.loc / self.scale)))
        return jnp.maximum(self.loc - self.scale * scores, 0.0).astype(jnp.float32)

    def log_density(self, seconds: Floats) -> Floats:
        from scipy.special import log_ndtr

        z = (seconds - self.loc) / self.scale
        inside = -0.5 * z**2 - np.log(self.scale * np.sqrt(2 * np.pi)) - log_ndtr(self.loc / self.scale)
        return np.where(seconds < 0, -np.inf, inside)

    def cdf(self, seconds: npt.ArrayLike) -> Floats:
        from scipy.special import ndtr

        x = np.asarray(seconds, np.float64)
        above = ndtr((self.loc - np.maximum(x, 0.0)) / self.scale) / ndtr(self.loc / self.scale)
        return np.where(x < 0, 0.0, 1 - above)

    def quantiles(self, shares: Floats) -> Floats:
        from scipy.special import ndtr, ndtri

        above = (1 - shares) * ndtr(self.loc / self.scale)
        return np.maximum(self.loc - self.scale * ndtri(above), 0.0)


class LogNormal(Family):
    """A time whose logarithm is normally distributed: it has a long tail, like delays of networks and busy computers.

    Args:
        loc, scale: mean and standard deviation of the natural logarithm of the seconds; the median is `exp(loc)`.
    """

    def __init__(self, loc: float, scale: float):
        _check(self, loc=loc, scale=scale)
        _check_positive(self, scale=scale)
        self.loc, self.scale = float(loc), float(scale)

    def __repr__(self) -> str:
        return f"LogNormal(median={np.exp(self.loc):.4g} s, scale={self.scale:g})"

    def sample(self, key: jax.Array, num: int) -> jax.Array:
        return jnp.exp(self.loc + self.scale * jax.random.normal(key, (num,))).astype(jnp.float32)

    def log_density(self, seconds: Floats) -> Floats:
        log = np.log(np.where(seconds > 0, seconds, 1.0))
        inside = -0.5 * ((log - self.loc) / self.scale) ** 2 - log - np.log(self.scale * np.sqrt(2 * np.pi))
        return np.where(seconds > 0, inside, -np.inf)

    def cdf(self, seconds: npt.ArrayLike) -> Floats:
        from scipy.special import ndtr

        x = np.asarray(seconds, np.float64)
        return np.where(x > 0, ndtr((np.log(np.where(x > 0, x, 1.0)) - self.loc) / self.scale), 0.0)

    def quantiles(self, shares: Floats) -> Floats:
        from scipy.special import ndtri

        return np.exp(self.loc + self.scale * ndtri(shares))


class Gamma(Family):
    """A gamma distribution: the sum of `concentration` exponentially distributed times.

    Args:
        concentration: shape.
        rate: 1/s; the mean is `concentration / rate`.
    """

    def __init__(self, concentration: float, rate: float):
        _check(self, concentration=concentration, rate=rate)
        _check_positive(self, concentration=concentration, rate=rate)
        self.concentration, self.rate = float(concentration), float(rate)

    def __repr__(self) -> str:
        return f"Gamma(concentration={self.concentration:g}, rate={self.rate:g})"

    def sample(self, key: jax.Array, num: int) -> jax.Array:
        return (jax.random.gamma(key, self.concentration, (num,)) / self.rate).astype(jnp.float32)

    def log_density(self, seconds: Floats) -> Floats:
        from scipy.special import gammaln

        x = np.where(seconds > 0, seconds, 1.0)
        k = self.concentration
        inside = k * np.log(self.rate) + (k - 1) * np.log(x) - self.rate * x - gammaln(k)
        return np.where(seconds > 0, inside, -np.inf)

    def cdf(self, seconds: npt.ArrayLike) -> Floats:
        from scipy.special import gammainc

        return gammainc(self.concentration, self.rate * np.maximum(np.asarray(seconds, np.float64), 0.0))

    def quantiles(self, shares: Floats) -> Floats:
        from scipy.special import gammaincinv

        return gammaincinv(self.concentration, shares) / self.rate


class Mixture(Family):
    """A mixture of delays, each sample independently from one of them: two routes, a cache that hits or misses.

    Args:
        delays: the components, numbers of seconds or distributions.
        weights: their shares, 0 or more; scaled to a sum of 1.
    """

    def __init__(self, delays: list[Any], weights: list[float]):
        self.delays = tuple(map(_part, delays))
        self.weights = _weights(weights, len(self.delays), "mixture", "weights")

    def __repr__(self) -> str:
        return " or ".join(f"{share:.0%} {delay!r}" for share, delay in zip(self.weights, self.delays, strict=True))

    def sample(self, key: jax.Array, num: int) -> jax.Array:
        chosen, *keys = jax.random.split(key, len(self.delays) + 1)
        which = jnp.searchsorted(jnp.asarray(np.cumsum(self.weights)[:-1]), jax.random.uniform(chosen, (num,)), "right")
        draws = jnp.stack([delay.sample(each, num) for delay, each in zip(self.delays, keys, strict=True)])
        return draws[which, jnp.arange(num)]

    def density(self, seconds: npt.ArrayLike) -> Floats | None:  # type: ignore[override]
        """Returns the density of the components that have one, without constants."""
        each = [(share, delay.density(seconds)) for share, delay in zip(self.weights, self.delays, strict=True)]
        continuous = [share * density for share, density in each if density is not None]
        return np.asarray(sum(continuous)) if continuous else None

    def log_density(self, seconds: Floats) -> Floats:
        density = self.density(seconds)
        if density is None:
            return np.full(np.shape(seconds), -np.inf)
        with np.errstate(divide="ignore"):
            return np.log(density)

    def cdf(self, seconds: npt.ArrayLike) -> Floats:
        each = [share * delay.cdf(seconds) for share, delay in zip(self.weights, self.delays, strict=True)]
        return np.asarray(sum(each))

    def quantiles(self, shares: Floats) -> Floats:
        return _invert(self.cdf, shares, self.delays)


class TimeSeries(Delay):
    """Delays that have the distribution `marginal` each, and that depend on the previous ones."""

    marginal: Delay

    def quantiles(self, shares: Floats) -> Floats:
        return self.marginal.quantiles(shares)

    def quantile(self, share: float) -> float:
        return self.marginal.quantile(share)

    def cdf(self, seconds: npt.ArrayLike) -> Floats:
        return self.marginal.cdf(seconds)

    def density(self, seconds: npt.ArrayLike) -> Floats | None:
        return self.marginal.density(seconds)


class Correlated(TimeSeries):
    """A delay whose values are correlated in time: a congested link stays congested for a while.

    The normal scores of the values are a first-order autoregressive process, AR(1), and each single value has the
    distribution of `delay` (a Gaussian copula).

    Args:
        delay: a distribution.
        correlation: the correlation of the normal scores of successive values, from 0 to less than 1; with 0 the values
            are independent. The correlation at lag k is its k-th power.
    """

    def __init__(self, delay: Any, correlation: float):
        from scipy.special import ndtr

        self.delay = self.marginal = _part(delay)
        _check(self, correlation=correlation)
        if not 0 <= correlation < 1:
            raise RexError(f"delay: correlation {correlation:g}: give a number from 0 up to, but not 1")
        self.correlation = float(correlation)
        self._table = self.delay.quantiles(ndtr(SCORES)).astype(np.float32)

    def __repr__(self) -> str:
        return f"{self.delay!r}, correlation {getattr(self, 'correlation', '?')} in time"

    def sample(self, key: jax.Array, num: int) -> jax.Array:
        if not self.correlation:
            return self.delay.sample(key, num)
        noise = jax.random.normal(key, (num,))
        share = np.float32(np.sqrt(1 - self.correlation**2))

        def follow(score: jax.Array, new: jax.Array) -> tuple[jax.Array, jax.Array]:
            score = np.float32(self.correlation) * score + share * new
            return score, score

        _, rest = jax.lax.scan(follow, noise[0], noise[1:])
        return jnp.interp(jnp.concatenate([noise[:1], rest]), jnp.asarray(SCORES, jnp.float32), self._table)


class Regimes(TimeSeries):
    """A delay that switches between several distributions by a Markov chain: an idle and a busy network.

    The chain makes one step per value; it begins in its stationary distribution.

    Args:
        delays: one per regime, numbers of seconds or distributions.
        transitions: row i holds the probabilities of going from regime i to each regime; rows sum to 1. A regime i
            lasts for `1 / (1 - transitions[i][i])` values on average.
    """

    def __init__(self, delays: list[Any], transitions: list[list[float]]):
        self.delays = tuple(map(_part, delays))
        count = len(self.delays)
        if not count:
            raise RexError("delay: regimes: delays is empty; give one a regime")
        for i, row in enumerate(transitions):
            if abs(sum(row) - 1) > 1e-6:
                raise RexError(f"delay: regimes: transitions[{i}]={row}: its probabilities sum to {sum(row):g}; give 1")
        matrix = np.array([_weights(row, count, "regimes", f"transitions[{i}]") for i, row in enumerate(transitions)])
        if len(matrix) != count:
            raise RexError(f"delay: regimes: transitions has {len(matrix)} rows; give {count}, one a regime")
        values, vectors = np.linalg.eig(matrix.T)
        if (np.abs(values - 1) < 1e-9).sum() != 1:
            raise RexError("delay: regimes: transitions: give every regime a way to every other")
        stationary = np.abs(np.real(vectors[:, np.argmin(np.abs(values - 1))]))
        self.transitions = matrix
        self.marginal: Mixture = Mixture(list(self.delays), (stationary / stationary.sum()).tolist())

    def __repr__(self) -> str:
        return f"regimes: {self.marginal!r}"

    def sample(self, key: jax.Array, num: int) -> jax.Array:
        chosen, *keys = jax.random.split(key, len(self.delays) + 1)
        uniform = jax.random.uniform(chosen, (num,))
        rows = jnp.asarray(np.cumsum(self.transitions, axis=1)[:, :-1], jnp.float32)
        begin = jnp.searchsorted(jnp.asarray(np.cumsum(self.marginal.weights)[:-1], jnp.float32), uniform[0], "right")

        def follow(regime: jax.Array, new: jax.Array) -> tuple[jax.Array, jax.Array]:
            regime = (rows[regime] <= new).sum().astype(regime.dtype)
            return regime, regime

        _, rest = jax.lax.scan(follow, begin, uniform[1:])
        which = jnp.concatenate([begin[None], rest])
        draws = jnp.stack([delay.sample(each, num) for delay, each in zip(self.delays, keys, strict=True)])
        return draws[which, jnp.arange(num)]


def _part(value: Any) -> Delay:
    """Returns a delay that is a component of another one.

    Raises:
        RexError: if it is not a delay, or an adjustable one, which is only possible for an edge as a whole.
    """
    delay = as_delay(value)
    if isinstance(delay, AdjustableDelay):
        raise RexError(f"delay {delay!r}: an adjustable delay cannot be a part of another; give it to the edge itself")
    return delay


def _invert(cdf: Any, shares: Floats, parts: Sequence[Delay]) -> Floats:
    """Returns quantiles by bisection between the smallest and the largest quantile of the components."""
    each = np.stack([part.quantiles(shares) for part in parts])
    low, high = each.min(0), each.max(0)
    for _ in range(60):
        middle = (low + high) / 2
        below = cdf(middle) < shares
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return high


def _weights(given: Sequence[float], count: int, what: str, key: str) -> Floats:
    """Returns the given weights, scaled to a sum of 1.

    Raises:
        RexError: if there is not one for each delay, or they are not all finite and 0 or more, or all of them are 0.
    """
    weights = np.asarray(given, np.float64)
    if not count or weights.shape != (count,):
        raise RexError(f"delay: {what}: {key} has {weights.size} numbers; give one for each of the {count} delays")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise RexError(f"delay: {what}: {key}={list(given)}: give numbers of 0 or more, not all 0")
    return weights / weights.sum()


def _check(delay: Delay, **parameters: float) -> None:
    for name, value in parameters.items():
        if not np.isfinite(value):
            raise RexError(f"delay {type(delay).__name__}: {name} {value}: give a finite number")


def _check_positive(delay: Delay, **parameters: float) -> None:
    for name, value in parameters.items():
        if value <= 0:
            raise RexError(f"delay {type(delay).__name__}: {name} {value:g}: give a number greater than 0")
