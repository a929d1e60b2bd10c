"""Defines the slots that a program runs in a row, and makes the arrays that hold their ticks and times."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from rexcli.compiler.inputs import Input, place
from rexcli.compiler.plan import Plan
from rexcli.compiler.tables import Table
from rexcli.system.system import System

Skip = Literal["cond", "mask"]

PIECE = 2**18
"""Number of rows, over all episodes together, whose tables are made at a time."""


@dataclass(frozen=True)
class Slot:
    """The columns of the tables that hold what a slot runs, and the ring entry that it writes: the spare one if
    skipped.
    """

    node: str
    at: int
    entry: int
    spare: int
    ts: int
    dt: int
    inputs: tuple[Input, ...]
    level: int = -1


@dataclass(frozen=True)
class Layout:
    """Everything that is fixed when the program is traced. Programs of equal layout share one compilation."""

    system: System
    slots: tuple[Slot, ...]
    rings: tuple[tuple[str, int], ...]
    warmup: int
    skip: Skip
    nodes: tuple[str, ...]
    observed: tuple[str, ...]


def make_tables(system: System, plan: Plan) -> tuple[tuple[Slot, ...], list[np.ndarray]]:
    """Returns the slots, and the tables of integers, seconds and spans, `[episodes, rows, columns]`, made piece by
    piece.
    """
    slots: tuple[Slot, ...] = ()
    whole: list[np.ndarray] = []
    episodes, rows = plan.table.tick[-1].shape
    size = max(1, PIECE // max(1, episodes))
    for begin in range(0, rows, size):
        table = plan.table.rows(begin, min(size, rows - begin))
        slots, columns = _columns(system, plan, table)
        if begin == 0:
            whole = [
                np.empty((episodes, rows, sum(part.shape[2] for part in parts)), parts[0].dtype) for parts in columns
            ]
        for into, parts in zip(whole, columns, strict=True):
            np.concatenate(parts, axis=2, out=into[:, begin : begin + size])
    return slots, whole


def _columns(system: System, plan: Plan, table: Table) -> tuple[tuple[Slot, ...], list[list[np.ndarray]]]:
    """Returns the slots of some rows, with the places of their entries in the tables, and the entries themselves."""
    columns: list[list[np.ndarray]] = [[], [], []]

    def column(to: list[np.ndarray], values: np.ndarray) -> int:
        """Appends `[episodes, rows]` or `[episodes, rows, n]`; returns the index of its first column."""
        begin = sum(part.shape[-1] for part in to)
        to.append(values if values.ndim == 3 else values[..., None])
        return begin

    slots = []
    ints, floats, spans = columns
    for slot, level in zip(table.slots(), table.levels or [-1] * len(table.nodes), strict=True):
        ring = plan.rings[slot.node]
        at, ts, dt = column(ints, slot.at), column(floats, slot.ts), column(spans, slot.dt)
        entry = column(ints, np.where(slot.tick < 0, ring, slot.tick % ring).astype(np.int32))
        inputs = []
        for read in slot.inputs:
            edge = system.edges[read.edge]
            sends, period = plan.rings[edge.source], 1 / system.specs[edge.target].rate
            inputs.append(place(edge, read, sends, period, *(partial(column, to) for to in columns)))
        slots.append(Slot(slot.node, at, entry, ring, ts, dt, tuple(inputs), level))
    return tuple(slots), columns
