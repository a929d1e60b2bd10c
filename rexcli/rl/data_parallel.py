"""A seed's environments on several devices: each collects with its own, and what it learns is averaged over all.

What depends on no environment, such as the networks, is the same on every device, because all that changes it is an
average over them.
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
    """The mean over the devices of each leaf."""
    return values if devices == 1 else lax.pmean(values, AXIS)


def moments(samples: jax.Array, devices: int, axis: int | None = None) -> tuple[jax.Array, jax.Array]:
    """Mean and variance along `axis` (all axes if None) of samples of which every device has as many."""
    mean, var = samples.mean(axis), samples.var(axis)
    if devices == 1:
        return mean, var
    common = averaged(mean, devices)
    return common, averaged(var + jnp.square(mean - common), devices)


def own_key(rng: jax.Array, devices: int) -> jax.Array:
    """A PRNG key for what each device draws for itself."""
    return rng if devices == 1 else jax.random.fold_in(rng, lax.axis_index(AXIS))


def gathered(values: T, devices: int) -> T:
    """What all devices have, one after another along the first axis of each leaf."""
    return values if devices == 1 else lax.all_gather(values, AXIS, tiled=True)


def split(tree: Any, spread: Any, devices: int) -> Any:
    """Environments `[num_envs, ...]` as `[devices, num_envs / devices, ...]` in every leaf where `spread` has true."""

    def part(leaf: jax.Array, yes: bool) -> jax.Array:
        return leaf.reshape(devices, -1, *leaf.shape[1:]) if yes else leaf

    return jax.tree.map(part, tree, spread)
