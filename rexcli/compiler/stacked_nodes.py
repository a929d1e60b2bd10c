"""Batches the state and the messages of identical nodes into one array per group, so that XLA compiles far fewer loop
carries.

The loops of a program (`Program.reset`, `rollout`, `play`) begin with `stack_nodes` and end with `unstack_nodes`; in
between, the mappings of a graph state are `StackedNodes` and not dictionaries. Node code sees neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.compiler.packing import SMALL
from rexcli.compiler.slots import Slot
from rexcli.system.states import GraphState

PyTree = Any
Names = tuple[str, ...]
KEPT = ("rng", "params", "state", "outputs")
"""The fields of a graph state that are mappings by node."""


@jax.tree_util.register_pytree_node_class
class StackedNodes(Mapping[str, PyTree]):
    """A mapping from nodes to pytrees, in which those of a group of nodes are stacked into one.

    Args:
        groups: groups of nodes whose pytrees have the same structure, shapes and types.
        grouped: one pytree for each group, leaves `[nodes, ...]`.
        alone: the pytrees of the other nodes.
    """

    def __init__(self, groups: tuple[Names, ...], grouped: list[PyTree], alone: dict[str, PyTree]):
        self.groups, self.grouped, self.alone = groups, grouped, alone

    def tree_flatten(self) -> tuple[tuple[list[PyTree], dict[str, PyTree]], tuple[Names, ...]]:
        return (self.grouped, self.alone), self.groups

    @classmethod
    def tree_unflatten(cls, groups: tuple[Names, ...], parts: tuple[list[PyTree], dict[str, PyTree]]) -> StackedNodes:
        return cls(groups, *parts)

    def __getitem__(self, name: str) -> PyTree:
        if name in self.alone:
            return self.alone[name]
        group, place = self.find(name)
        return jax.tree.map(lambda leaf: jax.lax.index_in_dim(leaf, place, keepdims=False), self.grouped[group])

    def __iter__(self) -> Iterator[str]:
        yield from self.alone
        for group in self.groups:
            yield from group

    def __len__(self) -> int:
        return len(self.alone) + sum(map(len, self.groups))

    def find(self, name: str) -> tuple[int, int]:
        """Returns the index of a node's group, and the node's index in it.

        Raises:
            KeyError: if it is in no group.
        """
        for number, group in enumerate(self.groups):
            if name in group:
                return number, group.index(name)
        raise KeyError(name)

    def places(self, names: Sequence[str]) -> tuple[int, np.ndarray] | None:
        """Returns the group that all these nodes are in, and their indices in it; None if there is none."""
        if names[0] in self.alone:
            return None
        number = self.find(names[0])[0]
        place = {name: index for index, name in enumerate(self.groups[number])}
        return (number, np.asarray([place[name] for name in names])) if place.keys() >= set(names) else None

    def with_group(self, number: int, tree: PyTree) -> StackedNodes:
        """Returns the mapping with another pytree for a group."""
        grouped = [tree if index == number else each for index, each in enumerate(self.grouped)]
        return StackedNodes(self.groups, grouped, self.alone)


def groups_of(batches: Sequence[Sequence[Slot]]) -> tuple[Names, ...]:
    """Returns groups of nodes whose slots run as one batch, see `identical_nodes.batches`; each node is in at most one
    group.
    """
    found: list[Names] = []
    for batch in sorted(batches, key=len, reverse=True):
        names = tuple(dict.fromkeys(slot.node for slot in batch))
        if len(batch) > 1 and not any(name in group for group in found for name in names):
            found.append(names)
    return tuple(found)


def stack_nodes(graph_state: GraphState, groups: tuple[Names, ...]) -> GraphState:
    """Returns the graph state with the pytrees of each group stacked into one; messages only if they are small."""
    if not groups or isinstance(graph_state.rng, StackedNodes):
        return graph_state
    small = tuple(group for group in groups if all(_is_small(graph_state.outputs[name]) for name in group))
    outputs = {name: graph_state.outputs[name] for name in graph_state.outputs}
    for group in small:
        outputs |= _of_one_length([outputs[name] for name in group], group)
    return graph_state.replace(
        **{field: _gather(getattr(graph_state, field), groups) for field in KEPT[:-1]}, outputs=_gather(outputs, small)
    )


def unstack_nodes(graph_state: GraphState, rings: Mapping[str, int]) -> GraphState:
    """Reverses `stack_nodes`; `rings` is how many messages each node's ring holds."""
    if not isinstance(graph_state.rng, StackedNodes):
        return graph_state
    kept = {field: _part(getattr(graph_state, field)) for field in KEPT}
    kept["outputs"] = {
        name: jax.tree.map(lambda leaf, n=rings[name] + 1: leaf if len(leaf) == n else leaf[:n], output)
        for name, output in kept["outputs"].items()
    }
    return graph_state.replace(**kept)


def _gather(by_node: Mapping[str, PyTree], groups: tuple[Names, ...]) -> StackedNodes:
    together = {name for group in groups for name in group}
    return StackedNodes(
        groups,
        [jax.tree.map(lambda *leaves: jnp.stack(leaves), *(by_node[name] for name in group)) for group in groups],
        {name: value for name, value in by_node.items() if name not in together},
    )


def _part(by_node: StackedNodes) -> dict[str, PyTree]:
    return {name: by_node[name] for name in sorted(by_node)}


def _is_small(ring: PyTree) -> bool:
    """Returns whether a ring is so small that it may be rewritten as a whole for one message."""
    return all(leaf.size <= SMALL for leaf in jax.tree.leaves(ring))


def _of_one_length(rings: Sequence[PyTree], names: Names) -> dict[str, PyTree]:
    """Returns the rings of messages, each padded to the length of the longest."""
    longest = max((len(leaf) for ring in rings for leaf in jax.tree.leaves(ring)), default=0)

    def padded(leaf: jax.Array) -> jax.Array:
        more = longest - len(leaf)
        return jnp.concatenate([leaf, jnp.broadcast_to(leaf[-1:], (more, *leaf.shape[1:]))]) if more else leaf

    return {name: jax.tree.map(padded, ring) for name, ring in zip(names, rings, strict=True)}


def rows(by_node: Mapping[str, PyTree], names: Sequence[str]) -> PyTree:
    """Returns the pytrees of some nodes as one, leaves `[names, ...]`."""
    found = by_node.places(names) if isinstance(by_node, StackedNodes) else None
    if found is None:
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *(by_node[name] for name in names))
    number, places = found
    assert isinstance(by_node, StackedNodes)
    group = by_node.grouped[number]
    if list(places) == list(range(len(by_node.groups[number]))):
        return group
    return jax.tree.map(lambda leaf: leaf[places], group)


def with_rows(by_node: Mapping[str, PyTree], names: Sequence[str], tree: PyTree) -> Mapping[str, PyTree]:
    """Returns the mapping with new pytrees of some nodes, given as one with leaves `[names, ...]`."""
    found = by_node.places(names) if isinstance(by_node, StackedNodes) else None
    if found is None:
        parts = unstacked(tree, len(names))
        for name, part in zip(names, parts, strict=True):
            by_node = with_one(by_node, name, part)
        return by_node
    number, places = found
    assert isinstance(by_node, StackedNodes)
    if list(places) == list(range(len(by_node.groups[number]))):
        return by_node.with_group(number, tree)
    group = jax.tree.map(lambda leaf, new: leaf.at[places].set(new), by_node.grouped[number], tree)
    return by_node.with_group(number, group)


def with_one(by_node: Mapping[str, PyTree], name: str, value: PyTree) -> Mapping[str, PyTree]:
    """Returns the mapping with a new pytree of one node."""
    if not isinstance(by_node, StackedNodes):
        return {**by_node, name: value}
    if name in by_node.alone:
        return StackedNodes(by_node.groups, by_node.grouped, {**by_node.alone, name: value})
    number, place = by_node.find(name)
    group = jax.tree.map(lambda leaf, new: leaf.at[place].set(new), by_node.grouped[number], value)
    return by_node.with_group(number, group)


def unstacked(tree: PyTree, number: int) -> list[PyTree]:
    """Splits a pytree with leaves `[number, ...]` into `number` pytrees."""
    leaves, structure = jax.tree.flatten(tree)
    parts = [[jax.lax.index_in_dim(leaf, index, keepdims=False) for index in range(number)] for leaf in leaves]
    return [jax.tree.unflatten(structure, [part[index] for part in parts]) for index in range(number)]


def message_types(rings: Mapping[str, PyTree], name: str) -> PyTree:
    """Returns the shapes and types of a message in a node's ring."""
    lead, ring = 1, None
    if isinstance(rings, StackedNodes) and name not in rings.alone:
        lead, ring = 2, rings.grouped[rings.find(name)[0]]
    ring = rings[name] if ring is None else ring
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[lead:], leaf.dtype), ring)


def pooled(rings: Mapping[str, PyTree], sources: Sequence[str]) -> tuple[list[PyTree], dict[str, int]]:
    """Returns the rings of some nodes as pytrees with leaves `[entries, ...]`, and where each node's ring begins in
    them.

    A group of nodes has one pytree, other nodes have one each, in order; entries are counted through all of them."""
    parts: list[PyTree] = []
    begins: dict[str, int] = {}
    groups: dict[int, tuple[int, int]] = {}
    total = 0
    for source in dict.fromkeys(sources):
        if not isinstance(rings, StackedNodes) or source in rings.alone:
            parts.append(rings[source])
            begins[source] = total
            total += _entries(rings[source])
            continue
        number, place = rings.find(source)
        if number not in groups:
            group = rings.grouped[number]
            parts.append(jax.tree.map(lambda leaf: leaf.reshape(leaf.shape[0] * leaf.shape[1], *leaf.shape[2:]), group))
            groups[number] = total, _entries(parts[-1]) // len(rings.groups[number])
            total += _entries(parts[-1])
        begins[source] = groups[number][0] + place * groups[number][1]
    return parts, begins


def _entries(ring: PyTree) -> int:
    return max((leaf.shape[0] for leaf in jax.tree.leaves(ring)), default=0)


def write(ring: PyTree, output: PyTree, at: jax.Array) -> PyTree:
    """Returns `ring` with `output` at entry `at` of every leaf, `[entries, ...]`."""

    def one(entries: jax.Array, value: jax.Array) -> jax.Array:
        return jax.lax.dynamic_update_index_in_dim(entries, value, at.astype(jnp.uint32), 0)

    return jax.tree.map(one, ring, output)


def write_rows(
    rings: Mapping[str, PyTree], names: Sequence[str], outputs: PyTree, at: jax.Array
) -> Mapping[str, PyTree]:
    """Returns the rings with what some nodes send, leaves `[names, ...]`, each at its entry `at`, `[names]`."""
    if not isinstance(rings, StackedNodes) or rings.places(names) is None:
        for index, (name, output) in enumerate(zip(names, unstacked(outputs, len(names)), strict=True)):
            rings = with_one(rings, name, write(rings[name], output, at[index]))
        return rings

    def leaf(entries: jax.Array, values: jax.Array) -> jax.Array:
        here = jnp.arange(entries.shape[1], dtype=at.dtype) == at[:, None]
        here = here.reshape(*here.shape, *(1,) * (entries.ndim - 2))
        return jnp.where(here, values[:, None], entries)

    return with_rows(rings, names, jax.tree.map(leaf, rows(rings, names), outputs))
