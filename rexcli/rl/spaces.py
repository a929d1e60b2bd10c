"""The space that actions and observations live in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.errors import RexError


@dataclass(frozen=True)
class Box:
    """Real vectors between bounds.

    Attributes:
        low, high: one bound a dimension, in the task's own units; infinite where there is none.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def __init__(self, low: Sequence[float] | Any, high: Sequence[float] | Any):
        object.__setattr__(self, "low", tuple(float(bound) for bound in np.ravel(low)))
        object.__setattr__(self, "high", tuple(float(bound) for bound in np.ravel(high)))
        if len(self.low) != len(self.high):
            raise RexError(f"Box: {len(self.low)} lower and {len(self.high)} upper bounds; give as many of each")
        for low_bound, high_bound in zip(self.low, self.high, strict=True):
            if not low_bound < high_bound:
                raise RexError(f"Box: low {low_bound:g} is not below high {high_bound:g}")

    @classmethod
    def unbounded(cls, size: int) -> Box:
        """All vectors of `size` numbers."""
        return cls((-np.inf,) * size, (np.inf,) * size)

    @property
    def size(self) -> int:
        """Numbers in a vector."""
        return len(self.low)

    @property
    def bounded(self) -> bool:
        """Whether every dimension has both bounds."""
        return bool(np.isfinite(self.low).all() and np.isfinite(self.high).all())

    def from_unit(self, unit: jax.Array) -> jax.Array:
        """A vector `[..., size]` clipped to ±1 and stretched to the bounds; unchanged where there are none."""
        if not self.bounded:
            return unit
        low, high = jnp.asarray(self.low, jnp.float32), jnp.asarray(self.high, jnp.float32)
        return low + (jnp.clip(unit, -1.0, 1.0) + 1) / 2 * (high - low)

    def sample(self, rng: jax.Array) -> jax.Array:
        """A random vector `[size]`: uniform within bounds, standard normal where there are none."""
        if not self.bounded:
            return jax.random.normal(rng, (self.size,))
        return self.from_unit(jax.random.uniform(rng, (self.size,), minval=-1.0))
