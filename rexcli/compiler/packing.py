"""Packs many small arrays into a few long ones, because a loop on a CPU has a cost for each array that it writes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

PyTree = Any

SMALL = 64
"""The size of the largest array that is worth packing with others."""


class Packing:
    """Packs the pytree that each iteration of a loop returns, and unpacks what the loop stacked."""

    def __init__(self) -> None:
        self._structure: Any = None
        self._like: list[jax.ShapeDtypeStruct] = []

    def pack(self, tree: PyTree) -> list[jax.Array]:
        """Returns one array with all small leaves of each type, `[numbers]`, and every large leaf as it is.

        Args:
            tree: the pytree of one iteration; structure, shapes and types must be the same in every iteration.
        """
        leaves, self._structure = jax.tree.flatten(tree)
        self._like = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]
        together, alone = self._groups()
        packed = [jnp.concatenate([leaves[place].reshape(-1) for place in group]) for group in together]
        return packed + [leaves[place] for place in alone]

    def unpack(self, stacked: list[jax.Array]) -> PyTree:
        """Returns the pytree that was packed last, its leaves with the leading axis of `stacked`, `[iterations]`."""
        together, alone = self._groups()
        leaves: list[Any] = [None] * len(self._like)
        for group, packed in zip(together, stacked, strict=False):
            sizes = [self._like[place].size for place in group]
            for place, part in zip(group, jnp.split(packed, np.cumsum(sizes)[:-1], axis=1), strict=True):
                leaves[place] = part.reshape(len(packed), *self._like[place].shape)
        for place, values in zip(alone, stacked[len(together) :], strict=True):
            leaves[place] = values
        return jax.tree.unflatten(self._structure, leaves)

    def _groups(self) -> tuple[list[list[int]], list[int]]:
        """Returns the indices of the small leaves, grouped by type, and those of the others."""
        small = [place for place, leaf in enumerate(self._like) if leaf.size <= SMALL]
        types = dict.fromkeys(self._like[place].dtype for place in small)
        together = [[place for place in small if self._like[place].dtype == dtype] for dtype in types]
        return together, [place for place in range(len(self._like)) if place not in small]
