"""Computes when steps start: the rules of scheduling as (max, +) recursions.

`start(k)` is a maximum of sums over fixed predecessors. If the arrivals on a node's inputs are known, a cumulative sum
and a cumulative maximum compute it for all ticks and episodes at once (`starts`). If nodes wait for each other in a
loop of blocking edges, ticks are computed one by one, each for all episodes at once (`loop_starts`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rexcli.timeline.spec import NEVER, Scheduling
from rexcli.timeline.timeline import Times


def latest(arrive: Times, required: Times) -> Times:
    """Returns `needed`: when the last of the required messages arrives, ns, `[episodes, ticks]`.

    Args:
        arrive: arrival times, ns, `[episodes, messages]`, in ascending order.
        required: how many messages must have arrived, `[ticks]`, never decreasing; 0 gives time 0, more than there are
            gives `NEVER`.
    """
    messages = arrive.shape[1]
    none, all_there = np.searchsorted(required, [1, messages + 1])
    needed = np.empty((len(arrive), len(required)), np.int64)
    needed[:, :none] = 0
    needed[:, all_there:] = NEVER
    if none < all_there:
        index = required[none:all_there] - 1
        if index[-1] - index[0] == len(index) - 1 and (np.diff(index) == 1).all():
            needed[:, none:all_there] = arrive[:, index[0] : index[-1] + 1]
        else:
            np.take(arrive, index, axis=1, out=needed[:, none:all_there], mode="clip")
    return needed


def starts(scheduled: Times, delay: Times, needed: Times | None, scheduling: Scheduling, advance: bool) -> Times:
    """Returns the starts of a node whose inputs' arrivals are known, ns, `[episodes, ticks]`.

    Args:
        scheduled: ns, `[ticks]`.
        delay: sampled computation delays, ns, `[episodes, ticks]`.
        needed: when the required messages have arrived, ns, `[episodes, ticks]`; None without blocking inputs.
        scheduling: after a late start, `frequency` keeps the spacing of ticks and `phase` returns to the schedule.
        advance: start before the scheduled time if possible (all inputs block).
    """
    if scheduling == "frequency" and not advance:
        return _keep_spacing(scheduled, delay, needed)
    if needed is None:
        ready = np.broadcast_to(scheduled, delay.shape)
    else:
        ready = needed if advance else np.maximum(needed, scheduled)
    # start(k) = max(ready(k), start(k-1) + delay(k-1)): the delays so far plus a running maximum.
    busy = np.zeros_like(delay)
    np.cumsum(delay[:, :-1], axis=1, out=busy[:, 1:])
    start = ready - busy
    np.maximum.accumulate(start, axis=1, out=start)
    start += busy
    return start


def _keep_spacing(scheduled: Times, delay: Times, needed: Times | None) -> Times:
    """Returns the starts of a node that keeps the spacing of its ticks after a late start (`scheduling: frequency`).

    With `late(k)` for `max(shift(k), lag_last(k))`, which is `shift(k+1)`:

    late(k) = max(late(k-1) + max(0, delay(k-1) - period(k)), needed(k-1) + delay(k-1) - scheduled(k)),
    start(k) = max(needed(k), scheduled(k) + late(k)).
    """
    late = np.zeros_like(delay)
    np.subtract(delay[:, :-1], np.diff(scheduled), out=late[:, 1:])
    np.maximum(late, 0, out=late)
    np.cumsum(late, axis=1, out=late)
    if needed is not None:
        waited = np.zeros_like(delay)
        np.add(needed[:, :-1], delay[:, :-1], out=waited[:, 1:])
        waited[:, 1:] -= scheduled[1:]
        waited -= late
        np.maximum.accumulate(waited, axis=1, out=waited)
        late += waited
    late += scheduled
    return late if needed is None else np.maximum(late, needed, out=late)


@dataclass(frozen=True)
class LoopNode:
    """A node inside a loop of blocking edges.

    Attributes:
        scheduled: ns, `[ticks]`.
        delay: sampled computation delays, ns, `[episodes, ticks]`.
        needed: when the required messages from outside the loop have arrived, ns, `[episodes, ticks]`, or None.
        scheduling, advance: as in `starts`.
    """

    scheduled: Times
    delay: Times
    needed: Times | None
    scheduling: Scheduling
    advance: bool


@dataclass(frozen=True)
class LoopEdge:
    """A blocking edge inside a loop.

    Attributes:
        source, target: indices in the list of the loop's nodes.
        required: messages that each tick of the target waits for, `[target ticks]`.
        delay: sampled communication delays, ns, `[episodes, source ticks]`.
    """

    source: int
    target: int
    required: Times
    delay: Times


def loop_starts(nodes: list[LoopNode], edges: list[LoopEdge]) -> tuple[list[Times], list[Times]]:
    """Returns the starts of nodes and the arrivals on edges that wait for each other in a loop.

    Args:
        nodes: the nodes in topological order of the edges without `skip`.
        edges: the blocking edges between them.

    Returns:
        Starts, ns, `[episodes, ticks]` for each node; arrivals, ns, `[episodes, source ticks]` for each edge.
    """
    alone = len(nodes[0].delay) == 1
    # A moment is one time per episode: an array, or for a single episode a Python int, which is faster.
    later: Callable[..., Any] = max if alone else np.maximum
    inputs = [[index for index, edge in enumerate(edges) if edge.target == place] for place in range(len(nodes))]
    outputs = [[index for index, edge in enumerate(edges) if edge.source == place] for place in range(len(nodes))]
    required = [edge.required.tolist() for edge in edges]
    transfer = [_moments(edge.delay) for edge in edges]
    delay = [_moments(node.delay) for node in nodes]
    needed = [None if node.needed is None else _moments(node.needed) for node in nodes]
    start: list[list[Any]] = [[] for _ in nodes]
    arrive: list[list[Any]] = [[] for _ in edges]
    late: list[Any] = [0] * len(nodes)
    end: list[Any] = [0] * len(nodes)
    for place, tick, time in _sequence(nodes):
        node = nodes[place]
        if node.advance:
            begin = end[place]
        elif node.scheduling == "phase":
            begin = later(end[place], time)
        else:
            begin = later(end[place], late[place] + time)
            late[place] = begin - time
        outside = needed[place]
        if outside is not None:
            begin = later(begin, outside[tick])
        for index in inputs[place]:
            count = required[index][tick]
            if count:
                begin = later(begin, arrive[index][count - 1])
        end[place] = begin + delay[place][tick]
        start[place].append(begin)
        for index in outputs[place]:
            there = end[place] + transfer[index][tick]
            arrive[index].append(later(there, arrive[index][-1]) if tick else there)
    episodes = len(nodes[0].delay)
    return [_rows(each, episodes) for each in start], [_rows(each, episodes) for each in arrive]


def _sequence(nodes: list[LoopNode]) -> list[list[int]]:
    """Returns `[place, tick, scheduled]` of every tick, in an order in which no tick waits for a later one."""
    place = np.repeat(np.arange(len(nodes)), [len(node.scheduled) for node in nodes])
    tick = np.concatenate([np.arange(len(node.scheduled)) for node in nodes])
    time = np.concatenate([node.scheduled for node in nodes])
    order = np.lexsort((tick, place, time))
    return np.stack([place[order], tick[order], time[order]], axis=1).tolist()


def _moments(rows: Times) -> list[Any]:
    """Converts `[episodes, ticks]` to a list with one moment per tick."""
    return rows[0].tolist() if len(rows) == 1 else list(np.ascontiguousarray(rows.T))


def _rows(moments: list[Any], episodes: int) -> Times:
    """Converts a list of moments to `[episodes, ticks]`."""
    columns = np.empty((len(moments), episodes), np.int64)
    for tick, moment in enumerate(moments):
        columns[tick] = moment
    return np.ascontiguousarray(columns.T)
