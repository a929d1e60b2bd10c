"""Sets parameters by name: replaces leaves of the pytrees that `init_params` and similar methods return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.errors import RexError, suggest
from rexcli.system.paths import leaf_paths

PyTree = Any


def with_values(tree: PyTree, values: Mapping[str, Any], where: str) -> PyTree:
    """Returns the pytree with other numbers in some of its leaves.

    Args:
        tree: a pytree of arrays.
        values: numbers by name; a nested leaf is given by a mapping for each level, or by a path with dots.
        where: the name of the pytree in error messages, such as `nodes.world.params`.

    Raises:
        RexError: if there is no leaf of a name, or a value has another shape, or is not a number that the leaf can
            hold.
    """
    if not values:
        return tree
    given, leaves = flat(values), leaf_paths(tree)
    for name, value in given.items():
        if name not in leaves:
            raise RexError(f"{where}: there is no '{name}'{suggest(name, list(leaves)) or '; it is empty'}")
        given[name] = _as_leaf(value, leaves[name], f"{where}.{name}" if name else where)
    structure = jax.tree.structure(tree)
    return jax.tree.unflatten(structure, [given.get(name, leaf) for name, leaf in leaves.items()])


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens nested mappings to one, with dots between the names."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        path = f"{prefix}.{name}" if prefix else str(name)
        found |= flat(value, path) if isinstance(value, Mapping) else {path: value}
    return found


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Reverses `flat`."""
    found: dict[str, Any] = {}
    for path, value in values.items():
        *groups, name = path.split(".")
        place = found
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = value
    return found


def _as_leaf(value: Any, leaf: Any, where: str) -> jax.Array:
    """Returns `value` with the leaf's type and shape; a single number is broadcast."""
    if isinstance(value, jax.Array):
        return jnp.broadcast_to(value.astype(leaf.dtype), leaf.shape)
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "bif":
        raise RexError(f"{where}={value}: give a number{f', or {leaf.shape} of them' if leaf.shape else ''}")
    if array.ndim and array.shape != leaf.shape:
        raise RexError(f"{where}={value}: its shape is {array.shape}; give {leaf.shape or 'one number'}")
    cast = array.astype(leaf.dtype)
    if not np.isfinite(array).all() or not np.allclose(cast.astype(np.float64), array, rtol=1e-5, atol=0):
        raise RexError(f"{where}={value}: give what {leaf.dtype} can hold")
    return jnp.broadcast_to(jnp.asarray(cast), leaf.shape)
