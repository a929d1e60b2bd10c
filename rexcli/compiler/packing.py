"""Many small arrays as a few long ones: a loop on a CPU pays for each array that it writes, however small."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

PyTree = Any

SMALL = 64
"""Numbers of the largest array that is worth copying together with others."""


class Packing:
    """Packs the pytrees that a loop gives, one a turn, and unpacks what the loop stacked."""

    def __init__(self) -> None:
        self._structure: Any = None
        self._like: list[jax.ShapeDtypeStruct] = []

    def pack(self, tree: PyTree) -> list[jax.Array]:
        """Of each type one array with all the small leaves, `[numbers]`, and every large leaf as it is.

        Args:
            tree: of one turn; the same structure, shapes and types in every turn.
        """
        leaves, self._structure = jax.tree.flatten(tree)
        self._like = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]
        together, alone = self._groups()
        packed = [jnp.concatenate([leaves[place].reshape(-1) for place in group]) for group in together]
        return packed + [leaves[place] for place in alone]

    def unpack(self, stacked: list[jax.Array]) -> PyTree:
        """The pytree that was packed last, its leaves with the leading axis of `stacked`, `[turns, ...]`."""
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
        """Places of the small leaves by type, and of the others."""
        small = [place for place, leaf in enumerate(self._like) if leaf.size <= SMALL]
        types = dict.fromkeys(self._like[place].dtype for place in small)
        together = [[place for place in small if self._like[place].dtype == dtype] for dtype in types]
        return together, [place for place in range(len(self._like)) if place not in small]
