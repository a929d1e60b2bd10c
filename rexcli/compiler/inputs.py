"""What an input of a slot sees: a window of the ring that its source writes, found in the tables of the program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.compiler.plan import InputPlan
from rexcli.errors import RexError
from rexcli.graph.adjustable import AdjustableDelay, blend, linear_share
from rexcli.graph.states import GraphState, InputState
from rexcli.graph.system import Edge

PyTree = Any
Column = Callable[[np.ndarray], int]
"""Appends values, `[episodes, rows]` or `[episodes, rows, n]`, to the tables; returns where they begin."""


@dataclass(frozen=True)
class Row:
    """One row of the tables, and by node its first tick that counts as sent."""

    ints: jax.Array
    floats: jax.Array
    born: dict[str, jax.Array]


@dataclass(frozen=True)
class Adjustable:
    """Of an input whose delay each episode sets for itself.

    Attributes:
        node: that reads.
        later: how many messages of the timeline's window it may have to do without at most.
        age: where the tables keep how long ago each message was sent.
        low, high: seconds.
        linear: whether to interpolate.
        skip: a message that arrives exactly at a step's start is left to the next.
    """

    node: str
    later: int
    age: int
    low: float
    high: float
    linear: bool
    skip: bool


@dataclass(frozen=True)
class Input:
    """Where the tables keep what an input of a slot reads."""

    edge: str
    source: str
    name: str
    window: int
    newest: int
    entries: int
    sent: int
    received: int
    adjustable: Adjustable | None = None


def place(edge: Edge, read: InputPlan, ring: int, ints: Column, floats: Column) -> Input:
    """Puts what the plan says of an input into the tables.

    Args:
        edge: of the system.
        read: the plan of one slot's input.
        ring: entries of the source's ring.
        ints, floats: the tables.

    Raises:
        RexError: if the plan was made for another kind of delay.
    """
    newest = ints(read.newest)
    seq = read.newest[..., None] + np.arange(1 - read.ts_sent.shape[-1], 1, dtype=np.int32)
    entries = ints(seq % ring)
    sent, received = floats(read.ts_sent), floats(read.ts_recv)
    adjustable = _place_adjustable(edge, read, floats)
    return Input(edge.name, edge.source, edge.input, edge.window, newest, entries, sent, received, adjustable)


def _place_adjustable(edge: Edge, read: InputPlan, floats: Column) -> Adjustable | None:
    delay = edge.delay
    if isinstance(delay, AdjustableDelay) != (read.age is not None):
        was = "no adjustable delay" if read.age is None else "an adjustable delay"
        raise RexError(f"edge '{edge.name}': delay is {delay!r}, but the plan was made for {was}; compile again")
    if not isinstance(delay, AdjustableDelay) or read.age is None:
        return None
    later, linear = read.age.shape[-1] - edge.window, delay.interpolation == "linear"
    return Adjustable(edge.target, later, floats(read.age), delay.low, delay.high, linear, edge.skip)


def see(graph_state: GraphState, read: Input, table: Row) -> InputState:
    """The window of an input in a row."""
    if read.adjustable is not None:
        return _see_delayed(graph_state, read, read.adjustable, table)

    def window(begin: int, values: jax.Array) -> jax.Array:
        return values[begin : begin + read.window]

    entries = [table.ints[read.entries + i] for i in range(read.window)]
    data = jax.tree.map(
        lambda ring: jnp.stack([_at(ring, entry) for entry in entries]), graph_state.outputs[read.source]
    )
    seq = table.ints[read.newest] + jnp.arange(1 - read.window, 1, dtype=jnp.int32)
    there = seq >= table.born[read.source]
    return InputState(
        seq=jnp.where(there, seq, -1),
        ts_sent=jnp.where(there, window(read.sent, table.floats), 0.0),
        ts_recv=jnp.where(there, window(read.received, table.floats), 0.0),
        data=data,
    )


def _see_delayed(graph_state: GraphState, read: Input, edge: Adjustable, table: Row) -> InputState:
    """The window where the delay is a parameter: that of the timeline, less what has not arrived yet."""
    held = read.window + edge.later
    delay = jnp.clip(graph_state.delays[edge.node][read.name], edge.low, edge.high)
    age = table.floats[edge.age : edge.age + held]
    later = jnp.minimum((age <= delay if edge.skip else age < delay).sum(dtype=jnp.int32), edge.later)
    older = edge.later - later + jnp.arange(read.window, dtype=jnp.int32)
    seq = table.ints[read.newest] - later + jnp.arange(1 - read.window, 1, dtype=jnp.int32)
    there = seq >= table.born[read.source]

    def sent(place: jax.Array) -> jax.Array:
        return table.floats[read.sent : read.sent + held][place]

    def messages(place: jax.Array) -> PyTree:
        entries = table.ints[read.entries : read.entries + held][place]
        return jax.tree.map(
            lambda ring: jnp.stack([_at(ring, entries[i]) for i in range(read.window)]),
            graph_state.outputs[read.source],
        )

    ts_sent, data = sent(older), messages(older)
    if edge.linear:
        newer = jnp.minimum(older + 1, held - 1)
        share = jnp.where(there, linear_share(age[older[-1]], age[newer[-1]], delay), 0.0)
        ts_sent, data = blend(ts_sent, sent(newer), share), blend(data, messages(newer), share)
    return InputState(
        seq=jnp.where(there, seq, -1),
        ts_sent=jnp.where(there, ts_sent, 0.0),
        ts_recv=jnp.where(there, ts_sent + delay, 0.0),
        data=data,
    )


def _at(ring: jax.Array, entry: jax.Array) -> jax.Array:
    """Entry of `[entries, ...]`; unsigned, so that JAX does not look whether it counts from the end."""
    return jax.lax.dynamic_index_in_dim(ring, entry.astype(jnp.uint32), keepdims=False)
