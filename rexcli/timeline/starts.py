"""When steps start: the rules of scheduling as (max, +) recursions.

`start(k)` is a maximum of sums over fixed predecessors. Where a node's inputs are known, a cumulative sum and
a cumulative maximum solve it for all ticks and episodes at once (`starts`). Where nodes wait for one another
in a loop of blocking edges, ticks are taken one by one, each for all episodes at once (`loop_starts`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rexcli.timeline.spec import NEVER, Scheduling
from rexcli.timeline.timeline import Times


def latest(arrive: Times, required: Times) -> Times:
    """`needed`: when the last of the required messages arrives, ns, `[episodes, ticks]`.

    Args:
        arrive: ns, `[episodes, messages]`, in order.
        required: how many must be there, `[ticks]`, never decreasing. 0 gives time 0, more than all `NEVER`.
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
    """Starts of a node whose inputs are known, ns, `[episodes, ticks]`.

    Args:
        scheduled: ns, `[ticks]`.
        delay: sampled computation delays, ns, `[episodes, ticks]`.
        needed: when blocking inputs are there, ns, `[episodes, ticks]`; None without blocking inputs.
        scheduling: `frequency` keeps the spacing once late, `phase` catches up.
        advance: do not wait for the schedule (all inputs block).
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
    """With `late(k)` for `max(shift(k), lag_last(k))`, which is `shift(k+1)`:

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


@dataclass
class LoopEdge:
    """A blocking edge inside a loop.

    Attributes:
        source, target: places in the list of the loop's nodes.
        required: messages that each tick of the target waits for, `[target ticks]`.
        delay: sampled communication delays, ns, `[source ticks, episodes]`.
    """

    source: int
    target: int
    required: Times
    delay: Times
    arrive: Times = field(init=False)

    def __post_init__(self) -> None:
        self.arrive = np.empty_like(self.delay)


@dataclass
class LoopNode:
    """A node inside a loop of blocking edges.

    Attributes:
        scheduled: ns, `[ticks]`.
        delay: sampled computation delays, ns, `[ticks, episodes]`.
        needed: when the blocking inputs from outside the loop are there, ns, `[ticks, episodes]`, or None.
        scheduling, advance: as in `starts`.
    """

    scheduled: Times
    delay: Times
    needed: Times | None
    scheduling: Scheduling
    advance: bool
    start: Times = field(init=False)

    def __post_init__(self) -> None:
        self.start = np.empty_like(self.delay)


def loop_starts(nodes: list[LoopNode], edges: list[LoopEdge]) -> None:
    """Fills `start` of the nodes (in topological order) and `arrive` of the edges of a loop."""
    times = np.concatenate([node.scheduled for node in nodes])
    owner = np.repeat(np.arange(len(nodes)), [len(node.scheduled) for node in nodes])
    tick = np.concatenate([np.arange(len(node.scheduled)) for node in nodes])
    order = np.lexsort((tick, owner, times))
    inputs = [[edge for edge in edges if edge.target == place] for place in range(len(nodes))]
    outputs = [[edge for edge in edges if edge.source == place] for place in range(len(nodes))]
    counts = [[edge.required.tolist() for edge in group] for group in inputs]
    episodes = nodes[0].delay.shape[1]
    late = [np.zeros(episodes, np.int64) for _ in nodes]
    end = [np.zeros(episodes, np.int64) for _ in nodes]
    sequence = np.stack([owner[order], tick[order], times[order]], axis=1)
    for place, k, time in sequence.tolist():
        node, start = nodes[place], nodes[place].start[k]
        if node.advance:
            start[:] = end[place]
        elif node.scheduling == "phase":
            np.maximum(end[place], time, out=start)
        else:
            np.add(late[place], time, out=start)
            np.maximum(start, end[place], out=start)
            np.subtract(start, time, out=late[place])
        if node.needed is not None:
            np.maximum(start, node.needed[k], out=start)
        for edge, required in zip(inputs[place], counts[place], strict=True):
            if required[k]:
                np.maximum(start, edge.arrive[required[k] - 1], out=start)
        np.add(start, node.delay[k], out=end[place])
        for edge in outputs[place]:
            np.add(end[place], edge.delay[k], out=edge.arrive[k])
            if k:
                np.maximum(edge.arrive[k], edge.arrive[k - 1], out=edge.arrive[k])
