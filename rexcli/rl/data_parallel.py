"""Spreads a seed's environments over several devices: each collects with its own, and what it learns is averaged.

Everything that does not depend on an environment, such as the networks, is the same on every device, because it only
changes by averages over all devices.
"""

from __future__ import annotations

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax

T = TypeVar("T")

AXIS = "envs"
"""The axis of the mesh, or of a `vmap`, along which a seed's environments lie."""


def averaged(values: T, devices: int) -> T:
    """Returns the mean over the devices of each leaf."""
    return values if devices == 1 else lax.pmean(values, AXIS)


def moments(samples: jax.Array, devices: int, axis: int | None = None) -> tuple[jax.Array, jax.Array]:
    """Returns mean and variance along `axis` (all axes if None) of samples of which every device has equally many."""
    mean, var = samples.mean(axis), samples.var(axis)
    if devices == 1:
        return mean, var
    common = averaged(mean, devices)
    return common, averaged(var + jnp.square(mean - common), devices)


def own_key(rng: jax.Array, devices: int) -> jax.Array:
    """Returns a PRNG key for the random numbers of each device."""
    return rng if devices == 1 else jax.random.fold_in(rng, lax.axis_index(AXIS))


def gathered(values: T, devices: int) -> T:
    """Concatenates the values of all devices along the first axis of each leaf."""
    return values if devices == 1 else lax.all_gather(values, AXIS, tiled=True)


def split(tree: Any, spread: Any, devices: int) -> Any:
    """Reshapes environments `[num_envs, ...]` to `[devices, num_envs / devices, ...]` in every leaf where `spread` is
    true.
    """

    def part(leaf: jax.Array, yes: bool) -> jax.Array:
        return leaf.reshape(devices, -1, *leaf.shape[1:]) if yes else leaf

    return jax.tree.map(part, tree, spread)
