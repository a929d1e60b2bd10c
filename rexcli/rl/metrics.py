"""Defines metrics, which an evaluation computes for each episode, chosen in YAML from the measures of a task at every
step.

eval:
  metrics:
    hold: {_target_: rexcli.rl.metrics.Always, above: {upright: 0.95}, below: {speed: 0.5}, last: 1.0}
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from rexcli.errors import RexError, suggest

Measures = Mapping[str, jax.Array]


class Metric:
    """A number for each episode. Derive from it, in `nodes/`, for your own metric."""

    def __call__(self, measures: Measures, rate: float) -> jax.Array:
        """Computes the metric of one episode.

        Args:
            measures: the results of `Environment.measure`, by name, `[steps]`; after a termination, the last one is
                repeated.
            rate: steps per second, Hz.

        Returns:
            A scalar.
        """
        raise RexError(f"{type(self).__name__} has no __call__(measures, rate); write one")


class Mean(Metric):
    """The mean of a measure.

    Args:
        of: the name of the measure.
        last: seconds at the end of the episode that count; None for the whole episode.
    """

    def __init__(self, of: str, last: float | None = None):
        self.of, self.last = of, last

    def __call__(self, measures: Measures, rate: float) -> jax.Array:
        return jnp.mean(_end(_find(measures, self.of), self.last, rate))


class RootMeanSquare(Mean):
    """The root of the mean of a measure's squares, as of an error; arguments as those of `Mean`."""

    def __call__(self, measures: Measures, rate: float) -> jax.Array:
        return jnp.sqrt(jnp.mean(jnp.square(_end(_find(measures, self.of), self.last, rate))))


class Highest(Mean):
    """The highest value of a measure; arguments as those of `Mean`."""

    def __call__(self, measures: Measures, rate: float) -> jax.Array:
        return jnp.max(_end(_find(measures, self.of), self.last, rate))


class Lowest(Mean):
    """The lowest value of a measure; arguments as those of `Mean`."""

    def __call__(self, measures: Measures, rate: float) -> jax.Array:
        return jnp.min(_end(_find(measures, self.of), self.last, rate))


class Final(Metric):
    """A measure at the end of the episode.

    Args:
        of: the name of the measure.
    """

    def __init__(self, of: str):
        self.of = of

    def __call__(self, measures: Measures, rate: float) -> jax.Array:
        return _find(measures, self.of)[-1]


class Share(Metric):
    """The share of steps at which every named measure lies beyond its bound, 0 to 1.

    Args:
        above: the bound that each measure must exceed, by name.
        below: the bound that each measure must stay under, by name.
        last: seconds at the end of the episode that count; None for the whole episode.
    """

    def __init__(
        self,
        above: dict[str, float] | None = None,
        below: dict[str, float] | None = None,
        last: float | None = None,
    ):
        self.above, self.below, self.last = above or {}, below or {}, last
        if not self.above and not self.below:
            raise RexError("nothing is asked of any measure; give above: {measure: number}, or below")

    def _good(self, measures: Measures, rate: float) -> jax.Array:
        """Returns whether each step meets all bounds, `[steps]`."""
        over = [_find(measures, name) > bound for name, bound in self.above.items()]
        under = [_find(measures, name) < bound for name, bound in self.below.items()]
        return _end(jnp.stack([*over, *under]).all(0), self.last, rate)

    def __call__(self, measures: Measures, rate: float) -> jax.Array:
        return self._good(measures, rate).mean()


class Always(Share):
    """1 if at every step all named measures lie beyond their bounds, else 0; arguments as those of `Share`."""

    def __call__(self, measures: Measures, rate: float) -> jax.Array:
        return self._good(measures, rate).all().astype(jnp.float32)


class SettlingTime(Share):
    """Seconds after which all named measures stay beyond their bounds; the length of the episode if they never do.

    Arguments as those of `Share`.
    """

    def __call__(self, measures: Measures, rate: float) -> jax.Array:
        bad = ~self._good(measures, rate)
        return jnp.max(jnp.where(bad, jnp.arange(1, len(bad) + 1), 0)) / rate


def _find(measures: Measures, name: str) -> jax.Array:
    if name not in measures:
        raise RexError(f"'{name}' is no measure of the task{suggest(name, list(measures)) or '; it measures nothing'}")
    return jnp.asarray(measures[name])


def _end(values: jax.Array, seconds: float | None, rate: float) -> jax.Array:
    """Returns the last `seconds` of `[steps]`."""
    if seconds is None:
        return values
    steps = round(seconds * rate)
    if not 0 < steps <= len(values):
        raise RexError(f"last={seconds:g} s is not within an episode of {len(values) / rate:g} s; give a part of it")
    return values[-steps:]
