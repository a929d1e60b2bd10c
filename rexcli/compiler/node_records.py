"""What a rollout keeps of each node."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from rexcli.compiler.slots import Slot
from rexcli.compiler.together import Names
from rexcli.system.states import Inputs, StepState

PyTree = Any
T = TypeVar("T")

FIELDS = ("params", "inputs", "state", "output")


class NodeRecord(struct.PyTreeNode):
    """What a rollout kept of one node; an entry where nothing ran has `seq` -1 and no meaning.

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
    """What one step left, of the fields to keep; `seq` -1 where it did not run."""
    values = {"params": after.params, "inputs": before.inputs, "state": after.state, "output": output}
    return NodeRecord(jnp.where(runs, before.seq, -1), before.ts, {field: values[field] for field in fields})


def flat(record: T) -> T:
    """Entries of all slots of a node in one row, `[rows, slots, ...]`, and of all rows, one after another."""
    return jax.tree.map(lambda leaf: leaf.reshape(leaf.shape[0] * leaf.shape[1], *leaf.shape[2:]), record)


def kept_as(batch: list[Slot], keep: Mapping[str, tuple[str, ...]]) -> list[Names]:
    """Nodes of a batch of which something is kept: all in one, or each by itself where not the same is of all."""
    names = tuple(slot.node for slot in batch)
    if len({keep.get(name) for name in names}) == 1:
        return [names] if names[0] in keep else []
    return [(name,) for name in names if name in keep]


def by_node(owners: list[Names], records: list[T], axis: int) -> dict[str, T]:
    """By node its entries, one for each of its slots, along `axis`.

    Args:
        owners: whose each record is.
        records: of several nodes, leaves with one entry for each along `axis`.
        axis: 0 for those of one step, 1 for those of many.
    """
    found: dict[str, list[T]] = {}
    for names, record in zip(owners, records, strict=True):
        for index, name in enumerate(names):
            own = record if len(names) == 1 else own_entries(record, name, index, axis)
            found.setdefault(name, []).append(own)
    return {name: jax.tree.map(lambda *slots: jnp.stack(slots, axis), *some) for name, some in found.items()}


@partial(jax.jit, static_argnums=2, inline=True)
def _entry_of(values: jax.Array, index: Any, axis: int) -> jax.Array:
    """Compiled once for all entries of arrays of one shape."""
    return jax.lax.dynamic_index_in_dim(values, index, axis, keepdims=False)


def own_entries(record: T, name: str, index: int, axis: int) -> T:
    """What is of one node in a record of several.

    Args:
        record: leaves with one entry for each of its owners along `axis`.
        name, index: of the node, and its place among the owners.
        axis: of the owners.
    """

    def leaf(value: Any) -> Any:
        if isinstance(value, Inputs):
            return Inputs(name, {read: jax.tree.map(leaf, seen) for read, seen in value.items()})
        if isinstance(value, np.ndarray):
            return value[(slice(None),) * axis + (index,)]
        return _entry_of(value, index, axis)

    return jax.tree.map(leaf, record, is_leaf=lambda value: isinstance(value, Inputs))
