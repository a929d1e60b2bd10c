"""Holds what a rollout records of each node."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from rexcli.compiler.slots import Slot
from rexcli.compiler.stacked_nodes import Names
from rexcli.system.states import Inputs, StepState

PyTree = Any
T = TypeVar("T")

FIELDS = ("params", "inputs", "state", "output")


class NodeRecord(struct.PyTreeNode):
    """The records of one node in a rollout; an entry in which nothing ran has `seq` -1, and its other values are
    meaningless.

    Attributes:
        seq: int32 `[entries]`, the node's tick.
        ts: float32 `[entries]`, seconds, when it started.
        fields: by field (`params`, `inputs`, `state`, `output`), pytrees with leading `[entries]`.
    """

    seq: jax.Array
    ts: jax.Array
    fields: Mapping[str, PyTree]


Record = dict[str, NodeRecord]


def record_of(
    fields: tuple[str, ...], runs: jax.Array, before: StepState, after: StepState, output: PyTree
) -> NodeRecord:
    """Returns the recorded fields of one step, with `seq` -1 if it did not run."""
    values = {"params": after.params, "inputs": before.inputs, "state": after.state, "output": output}
    return NodeRecord(jnp.where(runs, before.seq, -1), before.ts, {field: values[field] for field in fields})


def flat(record: T) -> T:
    """Flattens the entries of all slots of a node, `[rows, slots, ...]`, to one axis, row after row."""
    return jax.tree.map(lambda leaf: leaf.reshape(leaf.shape[0] * leaf.shape[1], *leaf.shape[2:]), record)


def kept_as(batch: list[Slot], keep: Mapping[str, tuple[str, ...]]) -> list[Names]:
    """Returns the recorded nodes of a batch: all together, or one by one if different fields of them are recorded."""
    names = tuple(slot.node for slot in batch)
    if len({keep.get(name) for name in names}) == 1:
        return [names] if names[0] in keep else []
    return [(name,) for name in names if name in keep]


def by_node(owners: list[Names], records: list[T], axis: int) -> dict[str, T]:
    """Returns the entries of each node, by name: one for each of its slots, along `axis`.

    Args:
        owners: the nodes of each record.
        records: if they are of several nodes, leaves with one entry per node along `axis`.
        axis: 0 for records of one step, 1 for those of many steps.
    """
    found: dict[str, list[T]] = {}
    for names, record in zip(owners, records, strict=True):
        for index, name in enumerate(names):
            own = record if len(names) == 1 else own_entries(record, name, index, axis)
            found.setdefault(name, []).append(own)
    return {name: jax.tree.map(lambda *slots: jnp.stack(slots, axis), *some) for name, some in found.items()}


@partial(jax.jit, static_argnums=2, inline=True)
def _entry_of(values: jax.Array, index: Any, axis: int) -> jax.Array:
    """Returns one entry along `axis`; compiled once for all entries of arrays of one shape."""
    return jax.lax.dynamic_index_in_dim(values, index, axis, keepdims=False)


def own_entries(record: T, name: str, index: int, axis: int) -> T:
    """Returns the entries of one node in a record of several.

    Args:
        record: leaves with one entry for each of its owners along `axis`.
        name, index: the node's name, and its index among the owners.
        axis: the axis of the owners.
    """

    def leaf(value: Any) -> Any:
        if isinstance(value, Inputs):
            return Inputs(name, {read: jax.tree.map(leaf, seen) for read, seen in value.items()})
        if isinstance(value, np.ndarray):
            return value[(slice(None),) * axis + (index,)]
        return _entry_of(value, index, axis)

    return jax.tree.map(leaf, record, is_leaf=lambda value: isinstance(value, Inputs))
