"""Defines the path to follow, a figure of eight in the air."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct


@struct.dataclass
class Path:
    """Gerono's lemniscate, tilted so that it rises on one side and sinks on the other."""

    size: jax.Array  # half of its length, m
    height: jax.Array  # how far it rises, m
    speed: jax.Array  # of its phase, rad/s; negative the other way round
    start: jax.Array  # phase at time 0, rad

    @classmethod
    def draw(cls, rng: jax.Array) -> Path:
        """Returns a random path, with up to 3 m/s and 6 m/s^2."""
        size, height, speed, way, start = jax.random.uniform(rng, (5,))
        return cls(
            size=1.0 + 0.5 * size,
            height=0.3 * height,
            speed=jnp.where(way < 0.5, -1.0, 1.0) * (1.0 + 0.4 * speed),
            start=2 * jnp.pi * start,
        )

    def at(self, time: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Returns position, m, velocity, m/s, and acceleration, m/s^2, each `[3]`, at a time, s."""
        phase = self.start + self.speed * time
        sin, cos, sin2, cos2 = jnp.sin(phase), jnp.cos(phase), jnp.sin(2 * phase), jnp.cos(2 * phase)
        extent = jnp.stack([self.size, self.size / 2, self.height])
        return (
            extent * jnp.stack([sin, sin2, sin]),
            extent * self.speed * jnp.stack([cos, 2 * cos2, cos]),
            extent * self.speed**2 * jnp.stack([-sin, -4 * sin2, -sin]),
        )
