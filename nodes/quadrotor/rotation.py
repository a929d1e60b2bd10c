"""Computes with unit quaternions `[w, x, y, z]` that rotate vectors of the body into the world."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def product(first: jax.Array, second: jax.Array) -> jax.Array:
    """Returns the rotation by `second`, then by `first`, each `[4]`."""
    w, x, y, z = first
    matrix = jnp.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    return matrix @ second


def conjugate(quaternion: jax.Array) -> jax.Array:
    """Returns the inverse rotation, `[4]`."""
    return quaternion * jnp.array([1.0, -1.0, -1.0, -1.0])


def up(quaternion: jax.Array) -> jax.Array:
    """Returns the direction of the body's z axis in the world, `[3]`."""
    w, x, y, z = quaternion
    return jnp.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])


def turned(quaternion: jax.Array, turn: jax.Array) -> jax.Array:
    """Returns the normalised quaternion `[4]` after a small rotation by a vector of the body, rad `[3]`."""
    after = product(quaternion, jnp.concatenate([jnp.ones(1), turn / 2]))
    return after / jnp.linalg.norm(after)


def tilt_to(direction: jax.Array) -> jax.Array:
    """Returns the shortest rotation `[4]` from the z axis to a direction of length 1, not straight down, `[3]`."""
    x, y, z = direction
    tilt = jnp.stack([1 + z, -y, x, jnp.zeros_like(z)])
    return tilt / jnp.linalg.norm(tilt)
