"""Unit quaternions `[w, x, y, z]` that turn a vector of the body into one of the world."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def product(first: jax.Array, second: jax.Array) -> jax.Array:
    """Turns by `second`, then by `first`, each `[4]`."""
    w, x, y, z = first
    matrix = jnp.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    return matrix @ second


def conjugate(quaternion: jax.Array) -> jax.Array:
    """The turn back, `[4]`."""
    return quaternion * jnp.array([1.0, -1.0, -1.0, -1.0])


def up(quaternion: jax.Array) -> jax.Array:
    """Where the body's z axis points, in the world, `[3]`."""
    w, x, y, z = quaternion
    return jnp.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])


def turned(quaternion: jax.Array, turn: jax.Array) -> jax.Array:
    """After a small turn by a rotation vector of the body, rad `[3]`; normalised, `[4]`."""
    after = product(quaternion, jnp.concatenate([jnp.ones(1), turn / 2]))
    return after / jnp.linalg.norm(after)


def tilt_to(direction: jax.Array) -> jax.Array:
    """The shortest turn that brings the z axis into a direction of length 1, not straight down, `[3]`; `[4]`."""
    x, y, z = direction
    tilt = jnp.stack([1 + z, -y, x, jnp.zeros_like(z)])
    return tilt / jnp.linalg.norm(tilt)
