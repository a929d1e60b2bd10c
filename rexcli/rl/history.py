"""Stacks the last observations of an episode, for a policy that sees several ticks at once; pure, for one episode."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

PyTree = Any


def empty(example: PyTree, history: int) -> PyTree:
    """Returns zeros for the `history - 1` observations before the newest, of the shapes and types of `example`."""
    return jax.tree.map(lambda leaf: jnp.zeros((history - 1, *leaf.shape), leaf.dtype), example)


def stack(past: PyTree, begun: jax.Array, newest: PyTree) -> PyTree:
    """Returns the last observations, oldest first, each leaf `[history, ...]`.

    Args:
        past: those before the newest, each leaf `[history - 1, ...]`.
        begun: bool, whether there was an observation before in this episode; if not, the newest is repeated.
        newest: the newest observation, each leaf `[...]`.
    """

    def join(old: jax.Array, new: jax.Array) -> jax.Array:
        return jnp.concatenate([jnp.where(begun, old, new[None]), new[None]]).astype(old.dtype)

    return jax.tree.map(join, past, newest)


def as_observation(stacked: PyTree) -> PyTree:
    """Returns what a policy sees of a stack: one vector `[history * obs_dim]` for vectors, else the dict of stacks."""
    return stacked if isinstance(stacked, dict) else stacked.reshape(-1)
