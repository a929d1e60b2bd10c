"""Packs the recorded fields of a step to bytes in the order of a recording. A jitted step returns them with its result,
so that recording takes hardly any additional time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.system.paths import leaf_paths
from rexcli.system.spec import RecordSettings
from rexcli.system.types import is_key

PyTree = Any
Fields = dict[str, dict[str, np.ndarray]]
MOST_BYTES = 4096
"""The most bytes of a step; larger ones stay in the step's own arrays, which a background thread writes."""


class Packing:
    """The packing of the recorded fields of one node's steps.

    Attributes:
        fields: an array with each leaf's shape and type, by name and path.
        nbytes: number of bytes of a step.
    """

    def __init__(self, fields: Fields):
        self.fields = fields
        self.nbytes = sum(array.nbytes for arrays in fields.values() for array in arrays.values())

    @classmethod
    def of(cls, keep: RecordSettings, params: PyTree, state: PyTree, output: PyTree) -> Packing | None:
        """Returns the packing of steps whose results have these shapes and types; None for steps whose messages are
        recorded, that take more than `MOST_BYTES`, or that have numbers of less than a byte."""
        fields = {
            field: {path: np.zeros(*_shape(leaf)) for path, leaf in leaf_paths(tree).items()}
            for field, tree in _kept(keep, params, state, output).items()
        }
        packing = cls(fields)
        whole = all(_bits(array.dtype) >= 8 for arrays in fields.values() for array in arrays.values())
        return packing if whole and not keep.inputs and packing.nbytes <= MOST_BYTES else None

    def trace(self, params: PyTree, state: PyTree, output: PyTree) -> jax.Array:
        """Returns the bytes, `[nbytes]`, in a jitted step."""
        return jnp.concatenate([jnp.zeros(0, jnp.uint8), *map(as_bytes, self._leaves(params, state, output))])

    def pack(self, params: PyTree, state: PyTree, output: PyTree) -> bytes:
        """Returns the bytes of NumPy arrays."""
        return b"".join([leaf.tobytes() for leaf in self._leaves(params, state, output)])

    def _leaves(self, params: PyTree, state: PyTree, output: PyTree) -> list[Any]:
        trees: Mapping[str, PyTree] = {"params": params, "state": state, "output": output}
        return jax.tree.leaves([trees[field] for field in self.fields])


def as_bytes(leaf: jax.Array) -> jax.Array:
    """Returns a traced array as its bytes in memory, `[nbytes]`."""
    if is_key(leaf):
        leaf = jax.random.key_data(leaf)
    if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
        leaf = jnp.stack([leaf.real, leaf.imag], -1)
    if leaf.dtype == jnp.bool_:
        leaf = leaf.astype(jnp.uint8)
    return jax.lax.bitcast_convert_type(leaf, jnp.uint8).reshape(-1)


def _kept(keep: RecordSettings, params: PyTree, state: PyTree, output: PyTree) -> dict[str, PyTree]:
    fields = {"params": (keep.params, params), "state": (keep.state, state), "output": (keep.output, output)}
    return {field: tree for field, (kept, tree) in fields.items() if kept}


def _bits(dtype: Any) -> int:
    if jnp.issubdtype(dtype, jnp.integer):
        return int(jnp.iinfo(dtype).bits)
    return int(jnp.finfo(dtype).bits) if jnp.issubdtype(dtype, jnp.floating) else 8


def _shape(leaf: Any) -> tuple[tuple[int, ...], Any]:
    """Returns a leaf's shape and type in a recording."""
    if is_key(leaf):
        leaf = jax.eval_shape(jax.random.key_data, leaf)
    return jnp.shape(leaf), jnp.result_type(leaf)
