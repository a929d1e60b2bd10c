"""Looks up what an input of a slot sees: a window of the ring that its source writes, found in the program's tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.compiler.tables import InputPlan
from rexcli.errors import RexError
from rexcli.system.adjustable import (
    AdjustableDelay,
    Interpolation,
    blend,
    hold,
    hold_floats,
    hold_shares,
    linear_share,
)
from rexcli.system.spec import Edge
from rexcli.system.states import GraphState, InputState, StepState
from rexcli.system.types import is_key

PyTree = Any
Column = Callable[[np.ndarray], int]
"""Appends values, `[episodes, rows]` or `[episodes, rows, n]`, to the tables; returns where they begin."""


@dataclass(frozen=True)
class Row:
    """One row of the tables, and the sequence number of each node's first message that counts as sent.

    The sequence numbers are given by name and as `first`, `[nodes]`. `spans` holds `dt` and `age`, computed from
    nanoseconds; it is a separate table, so that XLA does not copy it if no node reads them.
    """

    ints: jax.Array
    floats: jax.Array
    spans: jax.Array
    first_seq: dict[str, jax.Array]
    first: jax.Array


@dataclass(frozen=True)
class Adjustable:
    """An input whose delay each episode sets for itself.

    Attributes:
        node: the reader.
        later: the largest number of messages of the timeline's window that may not have arrived yet.
        low, high: the range of the delay, seconds.
        interpolation: what is seen at a time between two messages.
        skip: a message that arrives exactly at the start of a step is read by the next step.
        period: the period of the reader, seconds.
    """

    node: str
    later: int
    low: float
    high: float
    interpolation: Interpolation
    skip: bool
    period: float


@dataclass(frozen=True)
class Input:
    """The columns of the tables that hold what an input of a slot reads.

    `seq` is the column of its sequence numbers, or only of the newest one if they are `consecutive`. `held` is how many
    messages the tables hold; it is larger than `window` if a node does not always see the last ones.
    """

    edge: str
    source: str
    name: str
    window: int
    held: int
    seq: int
    consecutive: bool
    entries: int
    sent: int
    received: int
    age: int
    adjustable: Adjustable | None = None


def place(edge: Edge, read: InputPlan, ring: int, period: float, ints: Column, floats: Column, spans: Column) -> Input:
    """Appends the plan of an input to the tables.

    Args:
        edge: the edge in the system.
        read: the plan of one slot's input.
        ring: number of entries of the source's ring.
        period: the period of the reader, seconds.
        ints, floats, spans: the tables.

    Raises:
        RexError: if the plan was made for another kind of delay.
    """
    seq = ints(read.newest if read.consecutive else read.seq)
    entries = ints(read.seq % ring)
    sent, received, age = floats(read.ts_sent), floats(read.ts_recv), spans(read.age)
    ends, adjustable = (edge.name, edge.source, edge.input), _adjustable(edge, read, period)
    held = read.seq.shape[-1]
    return Input(*ends, edge.window, held, seq, read.consecutive, entries, sent, received, age, adjustable)


def _adjustable(edge: Edge, read: InputPlan, period: float) -> Adjustable | None:
    delay = edge.delay
    if isinstance(delay, AdjustableDelay) != read.adjustable:
        was = "an adjustable delay" if read.adjustable else "no adjustable delay"
        raise RexError(f"edge '{edge.name}': delay is {delay!r}, but the plan was made for {was}; compile again")
    if not isinstance(delay, AdjustableDelay):
        return None
    later = read.age.shape[-1] - edge.window
    return Adjustable(edge.target, later, delay.low, delay.high, delay.interpolation, edge.skip, period)


def see(graph_state: GraphState, read: Input, table: Row, ts: jax.Array) -> InputState:
    """Returns the window of an input in a row, for a tick that starts at `ts`, seconds."""
    if read.adjustable is not None:
        return _see_delayed(graph_state, read, read.adjustable, table, ts)
    if read.held > read.window:
        return _see_overtaken(graph_state, read, table, ts)

    def window(begin: int, values: jax.Array) -> jax.Array:
        return values[begin : begin + read.window]

    entries = [table.ints[read.entries + i] for i in range(read.window)]
    data = _stacked(graph_state, read, entries)
    seq = _seqs(read, table)
    return _shown(seq, seq >= table.first_seq[read.source], data, read, table, ts, window)


def _seqs(read: Input, table: Row) -> jax.Array:
    """Returns the sequence numbers of the messages that the tables hold for an input, below 0 in a gap, `[held]`."""
    if read.consecutive:
        return table.ints[read.seq] + jnp.arange(1 - read.held, 1, dtype=jnp.int32)
    return table.ints[read.seq : read.seq + read.held]


def _see_overtaken(graph_state: GraphState, read: Input, table: Row, ts: jax.Array) -> InputState:
    """Returns the window of an input on which messages overtake others. Messages from before the episode's start, which
    may be anywhere in the tables, are left out."""
    seq = _seqs(read, table)
    there = seq >= table.first_seq[read.source]
    place = jnp.argsort(there, stable=True)[-read.window :]
    seq, there = seq[place], there[place]

    def window(begin: int, values: jax.Array) -> jax.Array:
        return values[begin : begin + read.held][place]

    entries = window(read.entries, table.ints)
    data = _stacked(graph_state, read, [entries[i] for i in range(read.window)])
    return _shown(seq, there, data, read, table, ts, window)


def _stacked(graph_state: GraphState, read: Input, entries: list[jax.Array]) -> PyTree:
    """Returns the messages at some entries of the source's ring, leaves `[len(entries), ...]`."""
    return jax.tree.map(
        lambda ring: jnp.stack([_at(ring, entry) for entry in entries]), graph_state.outputs[read.source]
    )


def _shown(
    seq: jax.Array,
    there: jax.Array,
    data: PyTree,
    read: Input,
    table: Row,
    ts: jax.Array,
    window: Callable[[int, jax.Array], jax.Array],
) -> InputState:
    """Returns a window of messages, with gaps where `there` is false; `window` takes its columns of the tables."""
    return InputState(
        seq=jnp.where(there, seq, -1),
        ts_sent=jnp.where(there, window(read.sent, table.floats), 0.0),
        ts_recv=jnp.where(there, window(read.received, table.floats), 0.0),
        age=jnp.where(there, window(read.age, table.spans), ts),
        data=data,
    )


def _see_delayed(graph_state: GraphState, read: Input, edge: Adjustable, table: Row, ts: jax.Array) -> InputState:
    """Returns the window if the delay is a parameter: that of the timeline without what has not arrived yet."""
    held = read.held
    delay = jnp.clip(graph_state.delays[edge.node][read.name], edge.low, edge.high)
    age = table.spans[read.age : read.age + held]
    seqs = _seqs(read, table)
    late = (seqs >= 0) & (age <= delay if edge.skip else age < delay)
    later = jnp.minimum(late.sum(dtype=jnp.int32), edge.later)
    older = edge.later - later + jnp.arange(read.window, dtype=jnp.int32)
    seq = seqs[older]
    there = seq >= table.first_seq[read.source]

    def sent(place: jax.Array) -> jax.Array:
        return table.floats[read.sent : read.sent + held][place]

    def messages(place: jax.Array) -> PyTree:
        entries = table.ints[read.entries : read.entries + held][place]
        return jax.tree.map(
            lambda ring: jnp.stack([_at(ring, entries[i]) for i in range(len(place))]),
            graph_state.outputs[read.source],
        )

    ts_sent, ages, data = sent(older), age[older], messages(older)
    if edge.interpolation == "linear":
        newer = jnp.minimum(older + 1, held - 1)
        share = jnp.where(there, linear_share(age[older[-1]], age[newer[-1]], delay), 0.0)
        ts_sent, ages = blend(ts_sent, sent(newer), share), blend(ages, age[newer], share)
        data = blend(data, messages(newer), share)
    elif edge.interpolation == "hold":
        # A gap before the first message holds already; it has no age.
        shares = hold_shares(jnp.where(seqs < 0, jnp.inf, age)[read.window - 1 :], delay, edge.period)
        ts_sent = jnp.where(there, hold(sent(jnp.arange(held)), shares, read.window), ts_sent)
        ages = jnp.where(there, hold(age, shares, read.window), ages)
        data = hold_floats(data, messages(jnp.arange(held, dtype=jnp.int32)), shares)
    return InputState(
        seq=jnp.where(there, seq, -1),
        ts_sent=jnp.where(there, ts_sent, 0.0),
        ts_recv=jnp.where(there, ts_sent + delay, 0.0),
        age=jnp.where(there, ages, ts),
        data=data,
    )


def shielded(before: StepState, runs: jax.Array) -> StepState:
    """Returns the step state, but no gradient flows back through it from a step whose result is discarded.

    Where a step has an infinite slope, the zero gradient of a discarded result would become NaN. XLA removes this from
    programs without gradients.
    """

    def leaf(value: jax.Array) -> jax.Array:
        if is_key(value) or not jnp.issubdtype(value.dtype, jnp.inexact):
            return value
        return jnp.where(runs, value, jax.lax.stop_gradient(value))

    return jax.tree.map(leaf, before)


def _at(ring: jax.Array, entry: jax.Array) -> jax.Array:
    """Returns entry `entry` of `[entries, ...]`; unsigned, so that JAX does not check for negative indices."""
    return jax.lax.dynamic_index_in_dim(ring, entry.astype(jnp.uint32), keepdims=False)
