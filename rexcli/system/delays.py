"""Defines delay distributions: a constant, or anything that distrax can sample.

A delay is a time, so samples and quantiles below 0 count as 0.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError

QUANTILE = 0.99
"""The quantile of a delay that is its expected delay unless declared otherwise."""


class Delay(ABC):
    """The distribution of a computation or communication delay, in seconds."""

    @abstractmethod
    def sample(self, key: jax.Array, num: int) -> jax.Array:
        """Returns `num` samples, float32 `[num]`, seconds, not below 0. Jittable, vmappable over `key`."""

    def sample_episodes(self, key: jax.Array, episodes: npt.NDArray[np.integer], num: int) -> npt.NDArray[np.float32]:
        """Returns `num` samples for each of `episodes`, s, `[len(episodes), num]`. A row depends on its
        episode alone.
        """
        return np.asarray(_draw_alike(_Alike(self), key, jnp.asarray(episodes, jnp.uint32), num))

    @cached_property
    def identity(self) -> Hashable:
        """A value that is equal for delays that draw the same samples from the same key: their class and all
        attributes.
        """
        return _identity(self)

    @abstractmethod
    def quantile(self, share: float) -> float:
        """Returns the time, seconds, below which `share` of the samples lie."""

    def quantiles(self, shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Returns the quantile of each of `shares`, seconds, `[...]`."""
        return np.vectorize(self.quantile, otypes=[np.float64])(shares)

    def cdf(self, seconds: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Returns the probability of at most `seconds`, `[...]`; estimated from samples unless a subclass
        computes it.
        """
        draws = np.sort(np.asarray(self.sample(jax.random.key(0), 100_000), np.float64))
        return np.searchsorted(draws, np.asarray(seconds, np.float64), side="right") / len(draws)

    @abstractmethod
    def density(self, seconds: npt.ArrayLike) -> npt.NDArray[np.float64] | None:
        """Returns the probability density at `seconds`, 1/s, `[...]`; None for a constant, which has none."""


class Constant(Delay):
    """A delay that is always the same."""

    def __init__(self, seconds: float):
        if not math.isfinite(seconds) or seconds < 0:
            raise RexError(f"delay {seconds}: a constant delay is a number of seconds, 0 or more")
        self.seconds = float(seconds)

    def __repr__(self) -> str:
        return f"{self.seconds:g} s"

    def sample(self, key: jax.Array, num: int) -> jax.Array:
        return jnp.full((num,), self.seconds, jnp.float32)

    def quantile(self, share: float) -> float:
        return self.seconds

    def cdf(self, seconds: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return (np.asarray(seconds) >= self.seconds).astype(np.float64)

    def density(self, seconds: npt.ArrayLike) -> None:
        return None


class Random(Delay):
    """A distrax distribution over seconds, including mixtures and transformed distributions."""

    def __init__(self, distribution: Any):
        self.distribution = distribution
        if tuple(distribution.event_shape) or tuple(distribution.batch_shape):
            raise RexError(
                f"delay {self!r}: a delay is one number, but this distribution has batch shape "
                f"{tuple(distribution.batch_shape)} and event shape {tuple(distribution.event_shape)}; "
                "give scalar parameters"
            )
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(distribution)):
            raise RexError(f"delay {self!r}: its parameters are not all finite numbers")

    def __repr__(self) -> str:
        distribution = self.distribution
        if hasattr(distribution, "components_distribution"):
            shares = np.atleast_1d(np.asarray(distribution.mixture_distribution.probs))
            parts = distribution.components_distribution
            return " or ".join(f"{share:.0%} {_described(parts, index)}" for index, share in enumerate(shares))
        return _described(distribution)

    def sample(self, key: jax.Array, num: int) -> jax.Array:
        return _draw(self.distribution, key, num)

    def sample_episodes(self, key: jax.Array, episodes: npt.NDArray[np.integer], num: int) -> npt.NDArray[np.float32]:
        return np.asarray(_draw_episodes(self.distribution, key, jnp.asarray(episodes, jnp.uint32), num))

    @cached_property
    def _draws(self) -> npt.NDArray[np.float64]:
        """Sorted samples, the same in every process, for quantities that the distribution does not implement."""
        draws = self.distribution.sample(seed=jax.random.key(0), sample_shape=(100_000,))
        return np.sort(np.asarray(draws, np.float64))

    def cdf(self, seconds: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Returns the distribution's own `cdf`, or an estimate from samples if it has none."""
        x = np.asarray(seconds, np.float64)
        try:
            share = self._cdf(x)
        except (NotImplementedError, AttributeError):
            share = np.searchsorted(self._draws, x, side="right") / len(self._draws)
        return np.where(x < 0, 0.0, share)

    def _cdf(self, seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        distribution, x = self.distribution, jnp.asarray(seconds, jnp.float32)
        if hasattr(distribution, "components_distribution"):
            weights = np.asarray(distribution.mixture_distribution.probs, np.float64)
            shares = np.asarray(distribution.components_distribution.cdf(x[..., None]), np.float64)
            return (weights * shares).sum(-1) / weights.sum()
        return np.asarray(distribution.cdf(x), np.float64)

    def quantiles(self, shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.maximum(np.quantile(self._draws, shares), 0.0)

    def quantile(self, share: float) -> float:
        """Returns the quantile by bisection of the distribution's own `cdf`, or from samples if it has none."""
        if type(self.distribution).__name__ == "Normal":
            from statistics import NormalDist

            loc, scale = float(self.distribution.loc), float(self.distribution.scale)
            return max(0.0, loc + scale * NormalDist().inv_cdf(share))
        low, high = float(self._draws[0]), float(self._draws[-1])
        try:
            while float(self._cdf(np.array(high))) < share:
                high += max(high - low, 1e-6)
        except (NotImplementedError, AttributeError):
            return max(0.0, float(np.quantile(self._draws, share)))
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if float(self._cdf(np.array(middle))) < share else (low, middle)
        return max(0.0, high)

    def density(self, seconds: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return np.exp(np.asarray(self.distribution.log_prob(jnp.asarray(seconds, jnp.float32)), np.float64))


def _described(distribution: Any, index: int = 0) -> str:
    """Returns a distribution's name and parameters; those at `index` if it has a batch of parameters."""
    fields = [
        f"{key.lstrip('_')}={float(np.broadcast_to(np.ravel(value), max(np.size(value), index + 1))[index]):g}"
        for key, value in vars(distribution).items()
        if key in ("_loc", "_scale", "_low", "_high", "_concentration", "_rate")
    ]
    return f"{type(distribution).__name__}({', '.join(fields)})"


class _Alike:
    """A delay that equals every other that draws the same samples, so that all of them share one compilation."""

    def __init__(self, delay: Delay):
        self.delay = delay

    def __hash__(self) -> int:
        return hash(self.delay.identity)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Alike) and self.delay.identity == other.delay.identity


def _identity(value: Any) -> Hashable:
    """Returns a hashable value that is equal for equal values; values of unknown types only equal themselves."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return kind, value
    if kind in (list, tuple):
        return kind, tuple(map(_identity, value))
    if kind is np.ndarray and value.dtype != object:
        return kind, value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, Delay):
        held = {name: item for name, item in vars(value).items() if name != "identity"}
        return kind, tuple((name, _identity(item)) for name, item in sorted(held.items()))
    return kind, id(value)


@partial(jax.jit, static_argnums=(0, 3))
def _draw_alike(alike: _Alike, key: jax.Array, episodes: jax.Array, num: int) -> jax.Array:
    """Draws the samples of episodes; compiled once for all equal delays, since many nodes of one kind have such."""
    return jax.vmap(lambda episode: alike.delay.sample(jax.random.fold_in(key, episode), num))(episodes)


def _draw(distribution: Any, key: jax.Array, num: int) -> jax.Array:
    draws = distribution.sample(seed=key, sample_shape=(num,))
    return jnp.maximum(draws, 0.0).astype(jnp.float32)


@partial(jax.jit, static_argnums=3)
def _draw_episodes(distribution: Any, key: jax.Array, episodes: jax.Array, num: int) -> jax.Array:
    """Draws the samples of episodes; compiled once for all delays of a family, since its parameters are inputs."""
    return jax.vmap(lambda episode: _draw(distribution, jax.random.fold_in(key, episode), num))(episodes)


def as_delay(value: Any) -> Delay:
    """Converts what the user declares to a `Delay`: a number of seconds, a distrax distribution, or a `Delay`.

    Raises:
        RexError: for anything else, and for numbers that are negative or not finite.
    """
    if isinstance(value, Delay):
        return value
    if isinstance(value, bool | str) or value is None:
        raise RexError(f"delay {value!r}: give a number of seconds or a distribution")
    if isinstance(value, int | float):
        return Constant(value)
    if hasattr(value, "sample") and hasattr(value, "log_prob"):
        if type(value).__name__ == "Deterministic":
            return Constant(float(value.loc))
        return Random(value)
    raise RexError(f"delay {value!r}: give a number of seconds or a distribution, such as distrax.Normal")
