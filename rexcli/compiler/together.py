"""What nodes that are alike keep, in one array for all of them: what a loop carries from step to step is then few
arrays however many nodes there are, which JAX traces and XLA compiles in a fraction of the time.

The loops of a program (`Program.reset`, `rollout`, `play`) begin by `gathered` and end by `parted`; in between the
mappings of a graph state are `Together` and not dictionaries. Node code sees neither.
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
"""What a graph state keeps by node."""


@jax.tree_util.register_pytree_node_class
class Together(Mapping[str, PyTree]):
    """A pytree by node, of which those of a group are kept in one.

    Args:
        groups: nodes of which each keeps the same structure.
        grouped: of each group one pytree, leaves `[nodes, ...]`.
        alone: of the other nodes, each its own.
    """

    def __init__(self, groups: tuple[Names, ...], grouped: list[PyTree], alone: dict[str, PyTree]):
        self.groups, self.grouped, self.alone = groups, grouped, alone

    def tree_flatten(self) -> tuple[tuple[list[PyTree], dict[str, PyTree]], tuple[Names, ...]]:
        return (self.grouped, self.alone), self.groups

    @classmethod
    def tree_unflatten(cls, groups: tuple[Names, ...], parts: tuple[list[PyTree], dict[str, PyTree]]) -> Together:
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
        """Which group a node is in, and its place there.

        Raises:
            KeyError: it is in none.
        """
        for number, group in enumerate(self.groups):
            if name in group:
                return number, group.index(name)
        raise KeyError(name)

    def places(self, names: Sequence[str]) -> tuple[int, np.ndarray] | None:
        """The group that all these nodes are in, and their places there; None where there is none."""
        if names[0] in self.alone:
            return None
        number = self.find(names[0])[0]
        place = {name: index for index, name in enumerate(self.groups[number])}
        return (number, np.asarray([place[name] for name in names])) if place.keys() >= set(names) else None

    def with_group(self, number: int, tree: PyTree) -> Together:
        """The same with another pytree for a group."""
        grouped = [tree if index == number else each for index, each in enumerate(self.grouped)]
        return Together(self.groups, grouped, self.alone)


def groups_of(batches: Sequence[Sequence[Slot]]) -> tuple[Names, ...]:
    """Nodes whose slots run together, see `alike.batches`; each is in one group."""
    found: list[Names] = []
    for batch in sorted(batches, key=len, reverse=True):
        names = tuple(dict.fromkeys(slot.node for slot in batch))
        if len(batch) > 1 and not any(name in group for group in found for name in names):
            found.append(names)
    return tuple(found)


def gathered(graph_state: GraphState, groups: tuple[Names, ...]) -> GraphState:
    """The graph state with what each group keeps in one; messages only where they are small."""
    if not groups or isinstance(graph_state.rng, Together):
        return graph_state
    small = tuple(group for group in groups if all(_is_small(graph_state.outputs[name]) for name in group))
    outputs = {name: graph_state.outputs[name] for name in graph_state.outputs}
    for group in small:
        outputs |= _of_one_length([outputs[name] for name in group], group)
    return graph_state.replace(
        **{field: _gather(getattr(graph_state, field), groups) for field in KEPT[:-1]}, outputs=_gather(outputs, small)
    )


def parted(graph_state: GraphState, rings: Mapping[str, int]) -> GraphState:
    """The opposite of `gathered`, `rings` being how many messages are kept of each node."""
    if not isinstance(graph_state.rng, Together):
        return graph_state
    kept = {field: _part(getattr(graph_state, field)) for field in KEPT}
    kept["outputs"] = {
        name: jax.tree.map(lambda leaf, n=rings[name] + 1: leaf if len(leaf) == n else leaf[:n], output)
        for name, output in kept["outputs"].items()
    }
    return graph_state.replace(**kept)


def _gather(by_node: Mapping[str, PyTree], groups: tuple[Names, ...]) -> Together:
    together = {name for group in groups for name in group}
    return Together(
        groups,
        [jax.tree.map(lambda *leaves: jnp.stack(leaves), *(by_node[name] for name in group)) for group in groups],
        {name: value for name, value in by_node.items() if name not in together},
    )


def _part(by_node: Together) -> dict[str, PyTree]:
    return {name: by_node[name] for name in sorted(by_node)}


def _is_small(ring: PyTree) -> bool:
    """Whether a ring is worth rewriting as a whole for the sake of one message."""
    return all(leaf.size <= SMALL for leaf in jax.tree.leaves(ring))


def _of_one_length(rings: Sequence[PyTree], names: Names) -> dict[str, PyTree]:
    """Rings of messages, each with room for as many as the longest."""
    longest = max((len(leaf) for ring in rings for leaf in jax.tree.leaves(ring)), default=0)

    def padded(leaf: jax.Array) -> jax.Array:
        more = longest - len(leaf)
        return jnp.concatenate([leaf, jnp.broadcast_to(leaf[-1:], (more, *leaf.shape[1:]))]) if more else leaf

    return {name: jax.tree.map(padded, ring) for name, ring in zip(names, rings, strict=True)}


def rows(by_node: Mapping[str, PyTree], names: Sequence[str]) -> PyTree:
    """What some nodes keep, leaves `[names, ...]`."""
    found = by_node.places(names) if isinstance(by_node, Together) else None
    if found is None:
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *(by_node[name] for name in names))
    number, places = found
    assert isinstance(by_node, Together)
    group = by_node.grouped[number]
    if list(places) == list(range(len(by_node.groups[number]))):
        return group
    return jax.tree.map(lambda leaf: leaf[places], group)


def with_rows(by_node: Mapping[str, PyTree], names: Sequence[str], tree: PyTree) -> Mapping[str, PyTree]:
    """The same with what some nodes keep now, leaves `[names, ...]`."""
    found = by_node.places(names) if isinstance(by_node, Together) else None
    if found is None:
        parts = unstacked(tree, len(names))
        for name, part in zip(names, parts, strict=True):
            by_node = with_one(by_node, name, part)
        return by_node
    number, places = found
    assert isinstance(by_node, Together)
    if list(places) == list(range(len(by_node.groups[number]))):
        return by_node.with_group(number, tree)
    group = jax.tree.map(lambda leaf, new: leaf.at[places].set(new), by_node.grouped[number], tree)
    return by_node.with_group(number, group)


def with_one(by_node: Mapping[str, PyTree], name: str, value: PyTree) -> Mapping[str, PyTree]:
    """The same with what one node keeps now."""
    if not isinstance(by_node, Together):
        return {**by_node, name: value}
    if name in by_node.alone:
        return Together(by_node.groups, by_node.grouped, {**by_node.alone, name: value})
    number, place = by_node.find(name)
    group = jax.tree.map(lambda leaf, new: leaf.at[place].set(new), by_node.grouped[number], value)
    return by_node.with_group(number, group)


def unstacked(tree: PyTree, number: int) -> list[PyTree]:
    """Of a pytree with leaves `[number, ...]` the pytrees in it."""
    leaves, structure = jax.tree.flatten(tree)
    parts = [[jax.lax.index_in_dim(leaf, index, keepdims=False) for index in range(number)] for leaf in leaves]
    return [jax.tree.unflatten(structure, [part[index] for part in parts]) for index in range(number)]


def message_types(rings: Mapping[str, PyTree], name: str) -> PyTree:
    """Shapes and types of a message that is kept in a node's ring."""
    lead, ring = 1, None
    if isinstance(rings, Together) and name not in rings.alone:
        lead, ring = 2, rings.grouped[rings.find(name)[0]]
    ring = rings[name] if ring is None else ring
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[lead:], leaf.dtype), ring)


def pooled(rings: Mapping[str, PyTree], sources: Sequence[str]) -> tuple[list[PyTree], dict[str, int]]:
    """The rings of some nodes as pytrees with leaves `[entries, ...]`, and where in all of them together each node's
    ring begins. A group is in one, others are each in their own, in order."""
    parts: list[PyTree] = []
    begins: dict[str, int] = {}
    groups: dict[int, tuple[int, int]] = {}
    total = 0
    for source in dict.fromkeys(sources):
        if not isinstance(rings, Together) or source in rings.alone:
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
    """`output` at entry `at` of every leaf of `ring`, `[entries, ...]`."""

    def one(entries: jax.Array, value: jax.Array) -> jax.Array:
        return jax.lax.dynamic_update_index_in_dim(entries, value, at.astype(jnp.uint32), 0)

    return jax.tree.map(one, ring, output)


def write_rows(
    rings: Mapping[str, PyTree], names: Sequence[str], outputs: PyTree, at: jax.Array
) -> Mapping[str, PyTree]:
    """Rings by node with what some nodes send, leaves `[names, ...]`, each at its entry `at`, `[names]`."""
    if not isinstance(rings, Together) or rings.places(names) is None:
        for index, (name, output) in enumerate(zip(names, unstacked(outputs, len(names)), strict=True)):
            rings = with_one(rings, name, write(rings[name], output, at[index]))
        return rings

    def leaf(entries: jax.Array, values: jax.Array) -> jax.Array:
        here = jnp.arange(entries.shape[1], dtype=at.dtype) == at[:, None]
        here = here.reshape(*here.shape, *(1,) * (entries.ndim - 2))
        return jnp.where(here, values[:, None], entries)

    return with_rows(rings, names, jax.tree.map(leaf, rows(rings, names), outputs))
