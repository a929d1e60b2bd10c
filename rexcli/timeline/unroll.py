"""Computes all steps inside a horizon: node by node, all ticks and episodes of a node at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError
from rexcli.timeline.phases import advances, topological
from rexcli.timeline.schedule import Schedule
from rexcli.timeline.spec import NEVER, EdgeTiming, SystemTiming
from rexcli.timeline.starts import LoopEdge, LoopNode, latest, loop_starts, starts
from rexcli.timeline.timeline import Timeline, Times

NOT_A_TIME = np.iinfo(np.int64).min
"""The int64 to which NaN and infinity are cast."""


class Sample(Protocol):
    """Draws the delays of a node or an edge, ns, int64 `[episodes, ticks]`; negative ones count as 0.

    With `kind` "loss", which is used for edges with a loss, it draws which messages an edge loses, bool
    `[episodes, ticks]`. The values of a tick must not depend on `ticks`, so that a longer timeline extends a shorter
    one.
    """

    def __call__(self, kind: Literal["node", "edge", "loss"], name: str, ticks: int) -> npt.NDArray[Any]: ...


@dataclass
class Unrolled:
    """Starts, ends and arrivals of all ticks inside a schedule's horizon.

    Attributes:
        schedule: the scheduled times and the horizon.
        start, end: times of the steps, ns, `[episodes, ticks]`, by node.
        arrive: arrival times, ns, `[episodes, source ticks]`, by edge; `NEVER` for lost messages.
        settled: when all messages up to this one have arrived, or would have if they are lost, ns,
            `[episodes, source ticks]`, by edge: a blocking reader waits until then. Rows never decrease.
    """

    schedule: Schedule
    start: dict[str, Times] = field(default_factory=dict)
    end: dict[str, Times] = field(default_factory=dict)
    arrive: dict[str, Times] = field(default_factory=dict)
    settled: dict[str, Times] = field(default_factory=dict)


def unroll(
    spec: SystemTiming, sample: Sample, episodes: int, horizon: int, recorded: Timeline | None = None
) -> Unrolled:
    """Applies the timing rules to all ticks that are scheduled no later than `horizon`, ns.

    Args:
        spec: the system, which has passed `check`.
        sample: draws delays.
        episodes: number of episodes.
        horizon: ns.
        recorded: nodes and edges whose times are known and stay as they are.
    """
    unrolled = Unrolled(Schedule(spec, horizon))
    if recorded is not None:
        for name, steps in recorded.steps.items():
            unrolled.start[name], unrolled.end[name] = steps.start, steps.end
        for name, messages in recorded.messages.items():
            unrolled.arrive[name] = messages.arrive
        for name in recorded.steps:
            _send(unrolled, spec.outputs(name), sample, episodes)
    for group in _groups(spec, [node.name for node in spec.nodes if node.name not in unrolled.start]):
        if len(group) == 1 and not _inner(spec, group):
            _run_node(unrolled, group[0], sample, episodes)
        else:
            _run_loop(unrolled, group, sample, episodes)
        for name in group:
            _send(unrolled, spec.outputs(name), sample, episodes)
    return unrolled


def _run_node(unrolled: Unrolled, name: str, sample: Sample, episodes: int) -> None:
    schedule = unrolled.schedule
    node, times = schedule.spec.node(name), schedule.times[name]
    delay = _draw(sample, "node", name, episodes, len(times))
    start = starts(times, delay, _needed(unrolled, name), node.scheduling, advances(schedule.spec, node))
    unrolled.start[name] = start
    unrolled.end[name] = start + delay


def _run_loop(unrolled: Unrolled, group: list[str], sample: Sample, episodes: int) -> None:
    """Computes the steps of the nodes of one loop of blocking edges, given in topological order."""
    schedule = unrolled.schedule
    spec = schedule.spec
    inner = _inner(spec, group)
    loop_nodes: list[LoopNode] = []
    for name in group:
        node = spec.node(name)
        loop_nodes.append(
            LoopNode(
                scheduled=schedule.times[name],
                delay=_draw(sample, "node", name, episodes, len(schedule.times[name])),
                needed=_needed(unrolled, name),
                scheduling=node.scheduling,
                advance=advances(spec, node),
            )
        )
    loop_edges = [
        LoopEdge(
            source=group.index(edge.source),
            target=group.index(edge.target),
            required=schedule.required(edge),
            delay=_draw(sample, "edge", edge.name, episodes, len(schedule.times[edge.source])),
        )
        for edge in inner
    ]
    start, arrive = loop_starts(loop_nodes, loop_edges)
    for name, loop_node, begin in zip(group, loop_nodes, start, strict=True):
        unrolled.start[name] = begin
        unrolled.end[name] = begin + loop_node.delay
    for edge, loop_edge, settled in zip(inner, loop_edges, arrive, strict=True):
        unrolled.settled[edge.name] = unrolled.arrive[edge.name] = settled
        if edge.loss or edge.reorder:
            sent = unrolled.end[edge.source] + loop_edge.delay
            unrolled.arrive[edge.name] = _arrivals(edge, sent, sample)


def _needed(unrolled: Unrolled, name: str) -> Times | None:
    """Returns when all required messages on edges with known arrivals have arrived, ns, `[episodes, ticks]`.

    It is None if there are no such edges.
    """
    schedule = unrolled.schedule
    needed: Times | None = None
    for edge in schedule.spec.inputs(name):
        if edge.blocking and edge.name in unrolled.settled:
            arrive = latest(unrolled.settled[edge.name], schedule.required(edge))
            needed = arrive if needed is None else np.maximum(needed, arrive, out=needed)
    return needed


def _send(unrolled: Unrolled, edges: tuple[EdgeTiming, ...], sample: Sample, episodes: int) -> None:
    """Computes the arrivals of the messages of edges that have none yet."""
    for edge in edges:
        if edge.name not in unrolled.arrive:
            end = unrolled.end[edge.source]
            there = end + _draw(sample, "edge", edge.name, episodes, end.shape[1])
            if edge.loss or edge.reorder:
                unrolled.arrive[edge.name] = _arrivals(edge, there, sample)
            np.maximum.accumulate(there, axis=1, out=there)
            unrolled.settled[edge.name] = np.minimum(there, NEVER, out=there)
            unrolled.arrive.setdefault(edge.name, there)


def _arrivals(edge: EdgeTiming, there: Times, sample: Sample) -> Times:
    """Returns when the messages of an edge that loses or reorders them arrive, ns, `[episodes, source ticks]`.

    Args:
        there: when each message would arrive if it were the only one.
    """
    lost: npt.NDArray[np.bool_] = np.zeros(there.shape, bool)
    if edge.loss:
        lost = np.asarray(sample("loss", edge.name, there.shape[1]))
        if lost.shape != there.shape or lost.dtype != bool:
            raise RexError(f"edge '{edge.name}': losses {lost.dtype}{list(lost.shape)}; give bool{list(there.shape)}")
    arrive = there if edge.reorder else np.maximum.accumulate(np.where(lost, 0, there), axis=1)
    return np.where(lost, NEVER, np.minimum(arrive, NEVER))


def _draw(sample: Sample, kind: Literal["node", "edge"], name: str, episodes: int, ticks: int) -> Times:
    delay = np.asarray(sample(kind, name, ticks))
    if delay.shape != (episodes, ticks):
        raise RexError(f"{kind} '{name}': delays of shape {list(delay.shape)}; give {[episodes, ticks]}")
    if not delay.size:
        return delay.astype(np.int64)
    low, high = delay.min(), delay.max()
    if not np.isfinite(high) or not np.isfinite(low) or low == NOT_A_TIME:
        raise RexError(f"{kind} '{name}': a sampled delay is NaN or infinite; check its distribution's parameters")
    if high > NEVER // (4 * ticks):
        raise RexError(f"{kind} '{name}': a sampled delay is {high / 1e9:g} s; give a shorter one")
    if delay.dtype != np.int64:
        delay = np.rint(delay).astype(np.int64)
    return np.maximum(delay, 0) if low < 0 else delay


def _inner(spec: SystemTiming, group: list[str]) -> list[EdgeTiming]:
    """Returns the blocking edges between nodes of a group."""
    return [edge for edge in spec.edges if edge.blocking and edge.source in group and edge.target in group]


def _groups(spec: SystemTiming, names: list[str]) -> list[list[str]]:
    """Returns the strongly connected components of the graph of blocking edges between `names`, sources first.

    Within a group the names are in topological order of the edges without `skip`.
    """
    names = [name for name in topological(spec) if name in set(names)]
    place = {name: index for index, name in enumerate(names)}
    reach = np.eye(len(names), dtype=np.float32)
    for edge in spec.edges:
        if edge.blocking and edge.source in place and edge.target in place:
            reach[place[edge.source], place[edge.target]] = 1
    for _ in range(len(names).bit_length()):
        reach = np.minimum(reach @ reach, 1)
    mutual = (reach > 0) & (reach.T > 0)
    ancestors = (reach > 0).sum(axis=0)
    order = sorted(range(len(names)), key=lambda index: (ancestors[index], mutual[index].argmax(), index))
    groups: list[list[str]] = []
    for index in order:
        if groups and mutual[place[groups[-1][0]], index]:
            groups[-1].append(names[index])
        else:
            groups.append([names[index]])
    return groups
