"""Defines how a vehicle moves along a lane: its acceleration follows the one asked for with a lag."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

CRUISE = 20.0
"""Speed at the start, m/s."""
STRONGEST = jnp.array([-6.0, 3.0])
"""Strongest braking and acceleration, m/s^2."""


@struct.dataclass
class Params:
    """Parameters of one vehicle."""

    lag: float = 0.3  # time constant of engine and brakes, s
    length: float = 4.5  # m


@struct.dataclass
class Motion:
    """Position and motion of a vehicle, which it also tells the others."""

    position: jax.Array  # of its front bumper, m
    speed: jax.Array  # m/s
    acceleration: jax.Array  # m/s^2

    def after(self, seconds: jax.Array) -> Motion:
        """Returns the motion `seconds` later at constant acceleration."""
        return Motion(
            self.position + seconds * (self.speed + seconds / 2 * self.acceleration),
            self.speed + seconds * self.acceleration,
            self.acceleration,
        )


def integrate(params: Params, motion: Motion, asked: jax.Array, dt: float) -> Motion:
    """Returns the motion `dt` seconds later under an acceleration asked for, m/s^2 (exact for a first-order lag)."""
    wanted = jnp.clip(asked, *STRONGEST)
    off = motion.acceleration - wanted
    decay = jnp.exp(-dt / params.lag)
    gained = off * params.lag * (1 - decay)  # m/s
    return Motion(
        position=motion.position + motion.speed * dt + wanted * dt**2 / 2 + params.lag * (off * dt - gained),
        speed=motion.speed + wanted * dt + gained,
        acceleration=wanted + off * decay,
    )
