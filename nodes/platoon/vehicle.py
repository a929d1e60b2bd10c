"""How a vehicle moves along a lane: its acceleration follows what is asked of it with a lag."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

CRUISE = 20.0
"""Speed at the start, m/s."""
STRONGEST = jnp.array([-6.0, 3.0])
"""Braking and accelerating, m/s^2."""


@struct.dataclass
class Params:
    """Of one vehicle."""

    lag: float = 0.3  # time constant of engine and brakes, s
    length: float = 4.5  # m


@struct.dataclass
class Motion:
    """Where a vehicle is, and how it moves; also what it tells the others."""

    position: jax.Array  # of its front bumper, m
    speed: jax.Array  # m/s
    acceleration: jax.Array  # m/s^2

    def after(self, seconds: jax.Array) -> Motion:
        """Where it is some time later if its acceleration stays."""
        return Motion(
            self.position + seconds * (self.speed + seconds / 2 * self.acceleration),
            self.speed + seconds * self.acceleration,
            self.acceleration,
        )


def integrate(params: Params, motion: Motion, asked: jax.Array, dt: float) -> Motion:
    """The motion `dt` seconds later under an acceleration asked for, m/s^2: the exact solution of a first-order lag."""
    wanted = jnp.clip(asked, *STRONGEST)
    off = motion.acceleration - wanted
    decay = jnp.exp(-dt / params.lag)
    gained = off * params.lag * (1 - decay)  # m/s
    return Motion(
        position=motion.position + motion.speed * dt + wanted * dt**2 / 2 + params.lag * (off * dt - gained),
        speed=motion.speed + wanted * dt + gained,
        acceleration=wanted + off * decay,
    )
