"""Finds identical nodes, such as the vehicles of a platoon, whose steps in one place of the program run as one batch.

Two nodes are identical if their steps do the same to states, messages and parameters of the same structure. This is
found by tracing them, not by their class alone, since a step may use the number or the name of its node. Their
differences, such as what they read and when, are data in the tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from rexcli.compiler.inputs import Input, Row, see
from rexcli.compiler.packing import SMALL
from rexcli.compiler.slots import Slot
from rexcli.compiler.stacked_nodes import message_types, pooled, unstacked
from rexcli.system.states import GraphState, Inputs, InputState, StepState
from rexcli.system.system import System
from rexcli.system.types import conform_step, is_key

PyTree = Any
FEWEST = 4
"""The lowest number of steps that are worth running as one batch."""


def batches(system: System, slots: Sequence[Slot], graph_state: GraphState) -> Iterator[list[Slot]]:
    """Yields slots in the order in which they run, those that run as one batch together.

    Args:
        system: the system of the nodes.
        slots: the slots in order; those of equal level (not below 0) do not depend on one another.
        graph_state: only its shapes and types are used.
    """
    begin = 0
    while begin < len(slots):
        end = begin + 1
        while slots[begin].level >= 0 and end < len(slots) and slots[end].level == slots[begin].level:
            end += 1
        yield from _identical(system, slots[begin:end], graph_state)
        begin = end


def _identical(system: System, slots: Sequence[Slot], graph_state: GraphState) -> list[list[Slot]]:
    """Groups slots that do not depend on one another by what they compute; slots of small groups are returned one by
    one.
    """
    groups = _split(slots, lambda slot: _shape(system, slot, graph_state))
    return [part for group in groups for part in _split(group, lambda slot: _traced(system, slot, graph_state))]


def _split(slots: Sequence[Slot], look: Callable[[Slot], Hashable]) -> list[list[Slot]]:
    """Groups slots for which `look` returns the same; slots of small groups are returned one by one."""
    found: dict[Hashable, list[Slot]] = {}
    for slot in slots:
        found.setdefault(look(slot) if len(slots) >= FEWEST else slot.node, []).append(slot)
    groups = ([group] if len(group) >= FEWEST else [[slot] for slot in group] for group in found.values())
    return [part for group in groups for part in group]


def _shape(system: System, slot: Slot, graph_state: GraphState) -> Hashable:
    """Returns the class of a slot's node, and the structure of everything that its step reads and returns."""
    name = slot.node
    inputs = tuple((read.name, read.window, _types(graph_state.outputs[read.source], 1)) for read in slot.inputs)
    kept = (graph_state.rng[name], graph_state.params[name], graph_state.state[name])
    return type(system.nodes[name]), _types(kept), _types(graph_state.outputs[name], 1), inputs


def _types(tree: PyTree, lead: int = 0) -> Hashable:
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple((leaf.shape[lead:], leaf.dtype) for leaf in leaves)


def _traced(system: System, slot: Slot, graph_state: GraphState) -> Hashable:
    """Returns what the step of a slot's node computes, as something hashable; traced once."""
    key = slot.node, _shape(system, slot, graph_state)
    if key not in system.traced_steps:
        system.traced_steps[key] = _computation(system, slot, graph_state)
    return system.traced_steps[key]


def _computation(system: System, slot: Slot, graph_state: GraphState) -> Hashable:
    name, node = slot.node, system.nodes[slot.node]

    def like(tree: PyTree, *lead: int, skip: int = 0) -> PyTree:
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((*lead, *leaf.shape[skip:]), leaf.dtype), tree)

    def numbers(kind: Any, *shape: int) -> Any:
        return jax.ShapeDtypeStruct(shape, kind)

    seen = {}
    for read in slot.inputs:
        seconds = numbers(jnp.float32, read.window)
        messages = like(graph_state.outputs[read.source], read.window, skip=1)
        seen[read.name] = InputState(numbers(jnp.int32, read.window), seconds, seconds, seconds, messages)
    rng, params, state = (like(each[name]) for each in (graph_state.rng, graph_state.params, graph_state.state))
    second = numbers(jnp.float32)
    eps: Any = jax.ShapeDtypeStruct(jnp.shape(graph_state.eps), jnp.result_type(graph_state.eps))
    before = StepState(rng, params, state, Inputs(name, seen), eps, numbers(jnp.int32), second, second, second)
    sends = like(graph_state.outputs[name], skip=1)

    def step(state: StepState) -> PyTree:
        after, output = conform_step(name, state, sends, node.step(state))
        return after.rng, after.params, after.state, output

    closed = jax.make_jaxpr(step)(before)
    text = re.sub("0x[0-9a-f]+", "", str(closed.jaxpr))
    if "callback" in text:  # the callback may not support batches
        return object()
    return text, tuple(_constants(closed))


def _constants(of: Any) -> Iterator[Hashable]:
    """Yields all numbers in a traced function except scalars, which are part of its text."""
    if isinstance(of, ClosedJaxpr | Jaxpr):  # one class since JAX 0.11
        yield from map(_number, getattr(of, "consts", ()))
        for equation in of.eqns:
            yield from (_number(each.val) for each in equation.invars if isinstance(each, Literal))
            yield from _constants(tuple(equation.params.values()))
    elif isinstance(of, tuple | list):
        for each in of:
            yield from _constants(each)
    elif isinstance(of, np.ndarray | jax.Array):
        yield _number(of)


def _number(value: Any) -> Hashable:
    if isinstance(value, jax.core.Tracer):
        return object()
    array = np.asarray(jax.random.key_data(value) if is_key(value) else value)
    return array.dtype.str, array.shape, array.tobytes()


def see_batch(
    graph_state: GraphState, slots: Sequence[Slot], table: Row, ts: jax.Array, place: Callable[[str], int]
) -> Inputs:
    """Returns the inputs of identical slots, leaves `[slots, window, ...]`.

    Args:
        graph_state, table: the state and the table row.
        slots: the identical slots.
        ts: when each slot's tick starts, s, `[slots]`.
        place: returns the index of a node in `table.first`.
    """
    seen = {}
    for number, first in enumerate(slots[0].inputs):
        reads = [slot.inputs[number] for slot in slots]
        if all(map(_is_plain, reads)) and len({read.consecutive for read in reads}) == 1:
            seen[first.name] = _see_plain(graph_state, reads, table, ts, place)
        else:
            each = [see(graph_state, read, table, ts[index]) for index, read in enumerate(reads)]
            seen[first.name] = jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)
    return Inputs(slots[0].node, seen)


def see_inputs(graph_state: GraphState, slot: Slot, table: Row, ts: jax.Array, place: Callable[[str], int]) -> Inputs:
    """Returns the inputs of a slot; many identical inputs are looked up as one batch. Arguments as for `see_batch`."""
    alike: dict[Hashable, list[Input]] = {}
    for read in slot.inputs:
        look: Hashable = read.name
        if len(slot.inputs) >= FEWEST and _is_plain(read):
            leaves, structure = jax.tree.flatten(message_types(graph_state.outputs, read.source))
            types = tuple((leaf.shape, leaf.dtype) for leaf in leaves)
            look = read.window, read.consecutive, structure, types
        alike.setdefault(look, []).append(read)
    seen: dict[str, InputState] = {}
    for reads in alike.values():
        if len(reads) < FEWEST:
            seen |= {read.name: see(graph_state, read, table, ts) for read in reads}
            continue
        together = _see_plain(graph_state, reads, table, jnp.broadcast_to(ts, (len(reads),)), place)
        seen |= zip((read.name for read in reads), unstacked(together, len(reads)), strict=True)
    return Inputs(slot.node, {read.name: seen[read.name] for read in slot.inputs})


def _is_plain(read: Input) -> bool:
    """Returns whether an input sees exactly the messages that the tables list."""
    return read.adjustable is None and read.held == read.window


def _see_plain(
    graph_state: GraphState, reads: Sequence[Input], table: Row, ts: jax.Array, place: Callable[[str], int]
) -> InputState:
    window = np.arange(reads[0].window)

    def columns(values: jax.Array, begin: Sequence[int]) -> jax.Array:
        return _taken(values, np.asarray(begin)[:, None] + window)

    if reads[0].consecutive:
        newest = _taken(table.ints, np.asarray([read.seq for read in reads]))
        seq = newest[:, None] + jnp.asarray(window - window[-1], jnp.int32)
    else:
        seq = columns(table.ints, [read.seq for read in reads])
    there = seq >= _taken(table.first, np.asarray([place(read.source) for read in reads]))[:, None]
    entries = columns(table.ints, [read.entries for read in reads])
    return InputState(
        seq=jnp.where(there, seq, -1),
        ts_sent=jnp.where(there, columns(table.floats, [read.sent for read in reads]), 0.0),
        ts_recv=jnp.where(there, columns(table.floats, [read.received for read in reads]), 0.0),
        age=jnp.where(there, columns(table.spans, [read.age for read in reads]), ts[:, None]),
        data=_messages(graph_state, [read.source for read in reads], entries),
    )


def _messages(graph_state: GraphState, sources: Sequence[str], entries: jax.Array) -> PyTree:
    """Returns the messages at `entries`, `[sources, window]`, of the rings of these sources."""
    rings, begins = pooled(graph_state.outputs, sources)
    number = {source: index for index, source in enumerate(begins)}

    def leaf(*some: jax.Array) -> jax.Array:
        if some[0][0].size > SMALL:  # too large to copy them all, and none of them is in a group
            return jnp.stack(
                [
                    jnp.stack(
                        [
                            jax.lax.dynamic_index_in_dim(some[number[source]], entry, keepdims=False)
                            for entry in entries[row].astype(jnp.uint32)
                        ]
                    )
                    for row, source in enumerate(sources)
                ]
            )
        offset = np.asarray([begins[source] for source in sources], np.int32)
        return _taken(jnp.concatenate(some) if len(some) > 1 else some[0], entries + offset[:, None])

    return jax.tree.map(leaf, *rings)


def _taken(values: jax.Array, indices: Any) -> jax.Array:
    return values.at[indices].get(mode="promise_in_bounds")
