"""Computes statistics of a timeline: load and lateness of its nodes, age and losses of the messages on its edges."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rexcli.timeline.message_outcomes import count_losses, message_outcomes
from rexcli.timeline.schedule import Schedule, period, scheduled
from rexcli.timeline.spec import NANOSECONDS, EdgeTiming
from rexcli.timeline.timeline import Timeline


@dataclass(frozen=True)
class Spread:
    """Statistics of the distribution of a quantity; all are NaN without any measurement."""

    mean: float
    median: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True)
class NodeStatistics:
    """Statistics of a node over all episodes.

    Attributes:
        phase: when its tick 0 is scheduled, s.
        ticks: number of ticks in all episodes together.
        load: computation delay divided by the period; above 1 a node cannot keep its rate.
        lateness: start minus scheduled time, s; negative where a node advances.
    """

    phase: float
    ticks: int
    load: Spread
    lateness: Spread


@dataclass(frozen=True)
class EdgeStatistics:
    """Statistics of an edge over all episodes.

    Attributes:
        messages: number of messages that were sent in all episodes together.
        age_read: age of a message, s, since it was sent, at the start of the step that reads it.
        age_newest: age, s, of the newest message in the window at the start of each step that has one.
        unread: share of messages that no step sees, because newer ones had already replaced them in the window.
            (Messages in transit when an episode ends, and lost ones, are not counted.)
        late: share of messages that a later step reads than if all delays were the expected ones.
        stale: share of steps, except the first of each episode, that see no new message.
        lost: share of messages that never arrive.
        burst: mean number of messages lost in a row; 0 if none is lost.
    """

    messages: int
    age_read: Spread
    age_newest: Spread
    unread: float
    late: float
    stale: float
    lost: float
    burst: float


@dataclass(frozen=True)
class Statistics:
    """The statistics of all nodes and edges, by name."""

    nodes: dict[str, NodeStatistics]
    edges: dict[str, EdgeStatistics]


def statistics(timeline: Timeline) -> Statistics:
    """Returns the statistics of a timeline of one or many episodes."""
    schedule = Schedule(timeline.spec, 0)
    return Statistics(
        {node.name: _node(timeline, schedule, node.name) for node in timeline.spec.nodes},
        {edge.name: _edge(timeline, schedule, edge) for edge in timeline.spec.edges},
    )


def _node(timeline: Timeline, schedule: Schedule, name: str) -> NodeStatistics:
    steps, rate = timeline.steps[name], timeline.spec.node(name).rate
    ticks = steps.start.shape[1]
    ran = np.arange(ticks) < steps.count[:, None]
    lateness = steps.start - scheduled(rate, schedule.phase[name], ticks)
    return NodeStatistics(
        phase=schedule.phase[name] / NANOSECONDS,
        ticks=int(ran.sum()),
        load=_spread((steps.end - steps.start)[ran], period(rate)),
        lateness=_spread(lateness[ran]),
    )


def _edge(timeline: Timeline, schedule: Schedule, edge: EdgeTiming) -> EdgeStatistics:
    source, target = timeline.steps[edge.source], timeline.steps[edge.target]
    reader, reads, reading = timeline.messages[edge.name].reader, timeline.reads(edge), timeline.reading(edge)
    newest = timeline.window(edge, 1)[..., 0]
    if reading is None:
        episode, message = np.nonzero(reader >= 0)
        place = message
    else:
        episode, place = np.nonzero(reading.read)
        message = reading.order[episode, place]
    step = reader[episode, message]
    age_read = target.start[episode, step] - source.end[episode, message]
    unread = place < reads[episode, step] - edge.window

    ran = np.arange(target.start.shape[1]) < target.count[:, None]
    at_episode, at_step = np.nonzero(ran & (newest >= 0))
    age_newest = target.start[at_episode, at_step] - source.end[at_episode, newest[at_episode, at_step]]
    lost, burst = count_losses(*message_outcomes(timeline, edge).known())
    return EdgeStatistics(
        messages=int(source.count.sum()),
        age_read=_spread(age_read),
        age_newest=_spread(age_newest),
        unread=_share(unread),
        late=0.0 if edge.blocking else _share(step > _expected_readers(timeline, schedule, edge)[message]),
        stale=_share((reads[:, 1:] == reads[:, :-1])[ran[:, 1:]]),
        lost=lost,
        burst=burst,
    )


def _expected_readers(timeline: Timeline, schedule: Schedule, edge: EdgeTiming) -> npt.NDArray[np.int64]:
    """Returns which tick reads message i if all delays are the expected ones, `[source ticks]`."""
    target = timeline.spec.node(edge.target)
    arrive = schedule.expected_arrival(edge, timeline.steps[edge.source].start.shape[1])
    ticks = timeline.steps[edge.target].start.shape[1]
    start = scheduled(target.rate, schedule.phase[edge.target], ticks)
    return np.searchsorted(start, arrive, side="right" if edge.leaves_simultaneous else "left")


def _spread(values: npt.NDArray[np.int64], unit: int = NANOSECONDS) -> Spread:
    """Returns the spread of `values`, divided by `unit`."""
    if not values.size:
        return Spread(math.nan, math.nan, math.nan, math.nan, math.nan)
    median, p90, p99, most = np.percentile(values, (50, 90, 99, 100)) / unit
    return Spread(float(values.mean() / unit), float(median), float(p90), float(p99), float(most))


def _share(happened: npt.NDArray[np.bool_]) -> float:
    return float(happened.mean()) if happened.size else math.nan
