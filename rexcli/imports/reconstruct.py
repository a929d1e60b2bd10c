"""Builds a timeline from a log's topics; what was not measured is inferred by the rules of time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rexcli.config.schema import Experiment, ImportEdge
from rexcli.errors import RexError
from rexcli.imports import clocks, mapping, report
from rexcli.imports.episode import Declared, Episode, NodeLog
from rexcli.imports.stamps import Log, match, unit_of, whole
from rexcli.imports.topics import Topic
from rexcli.runs.recording.layout import FIELDS
from rexcli.timeline import phases
from rexcli.timeline.reading import first_readers
from rexcli.timeline.schedule import scheduled
from rexcli.timeline.spec import NEVER, EdgeTiming, NodeTiming, SystemTiming, nanoseconds
from rexcli.timeline.timeline import Messages, Steps, Timeline, Times


@dataclass(frozen=True)
class Imported:
    """A log, imported as a timeline.

    Attributes:
        timeline: the timeline of the nodes that are in the log.
        values: arrays of each node and field by key path, a list over episodes of `[ticks, ...]`.
        rows: what was measured and what was inferred, in `report.COLUMNS`.
        warnings: what looks wrong, one line each.
        clocks: the estimated clocks by name.
    """

    timeline: Timeline
    values: dict[str, dict[str, list[dict[str, np.ndarray]]]]
    rows: list[report.Row]
    warnings: list[str]
    clocks: dict[str, clocks.Clock]


def reconstruct(experiment: Experiment, topics: dict[str | None, Topic], declared: Declared, path: str) -> Imported:
    """Builds the timeline of a log.

    Args:
        experiment: the experiment, whose mapping has passed `mapping.check`.
        topics: the topics that `mapping.wanted` asks for.
        declared: declared median delays, for times without a stamp.
        path: path of the log, for error messages.

    Raises:
        RexError: the stamps contradict one another, or are too few.
    """
    log = Log(experiment, topics, path)
    spec = _spec(experiment)
    order = phases.topological(spec)
    numbers = np.unique(np.concatenate([log.episodes(topics[node.topic]) for node in log.declared.nodes.values()]))
    zeros = log.declared.zero
    if zeros is not None and len(zeros) != len(numbers):
        raise log.wrong("import.zero", f"import.zero: {len(zeros)} times, but the log has {len(numbers)} episodes")
    episodes = [Episode(log, spec, order, int(number), declared) for number in numbers]
    log.warnings += report.complaints(log, episodes)
    nodes = {name: _steps([episode.nodes[name] for episode in episodes]) for name in order}
    begin = np.array([episode.first() for episode in episodes] if zeros is None else zeros, np.int64)[:, None]
    steps = {node.name: _since(nodes[node.name], begin) for node in spec.nodes}
    for name, each in steps.items():
        if (each.start < 0).any():
            raise log.wrong("import.zero", f"import.zero: node '{name}' starts {-each.start.min() / 1e9:g} s before it")
    supervisor = steps[spec.supervisor]
    if (supervisor.count < 2).any():
        raise RexError(
            f"{path}: topic {topics[log.declared.nodes[spec.supervisor].topic].name} has "
            f"{unit_of(int(supervisor.count.min()), 'message')} of supervisor '{spec.supervisor}' in an episode, which "
            "are too few: an episode is what lies between two of its steps"
        )
    arrivals = {}
    for edge in spec.edges:
        arrive = _padded([episode.arrive[edge.name] for episode in episodes], NEVER)
        arrivals[edge.name] = np.where(arrive < NEVER, arrive - begin, NEVER)
    spec = _with_expectations(experiment, spec, steps, arrivals)
    messages = {
        edge.name: Messages(arrivals[edge.name], _readers(log, spec, edge, steps, arrivals[edge.name], episodes))
        for edge in spec.edges
    }
    values = {
        name: {
            kind: [{path: array[episode.nodes[name].rows] for path, array in found.items()} for episode in episodes]
            for kind in FIELDS
            if (tree := getattr(node, kind)) is not None
            and (found := _arrays(log, tree, topics[node.topic], f"import.nodes.{name}.{kind}")) is not None
        }
        for name, node in log.declared.nodes.items()
    }
    rows = [*report.rows(log, spec, episodes), *report.absent(experiment)]
    return Imported(Timeline(spec, steps, messages), values, rows, log.warnings, log.clocks)


def _spec(experiment: Experiment) -> SystemTiming:
    """Returns the nodes of the mapping, and the edges between them."""
    known = experiment.importing.nodes
    nodes = tuple(
        NodeTiming(node.name, node.rate, 0, node.scheduling, node.advance)
        for node in experiment.nodes.values()
        if node.name in known
    )
    edges = tuple(
        EdgeTiming(edge.name, edge.source, edge.target, edge.window, edge.blocking, edge.skip, edge.jitter)
        for edge in experiment.edges.values()
        if edge.source in known and edge.target in known
    )
    spec = SystemTiming(nodes, edges, experiment.supervisor)
    phases.check(spec, recorded=[node.name for node in nodes])
    return spec


def _with_expectations(
    experiment: Experiment, spec: SystemTiming, steps: dict[str, Steps], arrivals: dict[str, Times]
) -> SystemTiming:
    """Sets expected delays: as declared, or the 0.99 quantile of those in the log."""

    def expected(declared: float | None, delays: Times) -> int:
        if declared is not None:
            return nanoseconds(declared)
        return int(np.quantile(delays, 0.99)) if len(delays) else 0

    nodes, edges = [], []
    for node in spec.nodes:
        each = steps[node.name]
        there = each.start < NEVER
        delay = expected(experiment.nodes[node.name].expected_delay, (each.end - each.start)[there])
        nodes.append(replace(node, expected_delay=delay))
    for edge in spec.edges:
        arrive, sent = arrivals[edge.name], steps[edge.source].end
        delay = expected(experiment.edges[edge.name].expected_delay, (arrive - sent)[arrive < NEVER])
        edges.append(replace(edge, expected_delay=delay))
    return replace(spec, nodes=tuple(nodes), edges=tuple(edges))


def _steps(nodes: list[NodeLog]) -> Steps:
    """Returns a node's steps in all episodes, where a step ends no later than the next one starts."""
    ends = []
    for node in nodes:
        following = np.concatenate([node.start[1:], [np.iinfo(np.int64).max]])[: len(node.start)]
        ends.append(np.minimum(node.sent, following))
    count = np.array([len(node.start) for node in nodes], np.int64)
    return Steps(_padded([node.start for node in nodes], NEVER), _padded(ends, NEVER), count)


def _since(steps: Steps, begin: Times) -> Steps:
    gone = np.arange(steps.start.shape[1]) >= steps.count[:, None]
    start, end = (np.where(gone, NEVER, times - np.where(gone, 0, begin)) for times in (steps.start, steps.end))
    return Steps(start, end, steps.count)


def _readers(
    log: Log, spec: SystemTiming, edge: EdgeTiming, steps: dict[str, Steps], arrive: Times, episodes: list[Episode]
) -> Times:
    """Returns the reader of each message: as the log says, or the first step that the rules allow."""
    target, width = steps[edge.target], arrive.shape[1]
    declared = log.declared.edges.get(edge.name)
    if declared is not None and declared.reader is not None:
        reader = _padded([_noted_readers(log, edge, declared, each) for each in episodes], -1)
        began = np.take_along_axis(target.start, np.maximum(reader, 0), axis=1) if target.start.shape[1] else arrive
        wrong = (reader >= 0) & ((began < arrive) | (reader >= target.count[:, None]))
        if wrong.any():
            key = f"import.edges.{edge.name}.reader"
            count = unit_of(int(wrong.sum()), "message")
            raise log.wrong(key, f"{key}={declared.reader}: {count} would be read before they arrive; leave it out")
        return reader
    due = arrive
    if edge.jitter == "buffer" and not edge.blocking:
        source = spec.node(edge.source)
        at = scheduled(source.rate, phases.phases(spec)[edge.source], width)
        due = np.where(arrive < NEVER, np.maximum(arrive, at + source.expected_delay + edge.expected_delay), NEVER)
    return first_readers(due, target.start, target.count, strictly=edge.leaves_simultaneous)


def _noted_readers(log: Log, edge: EdgeTiming, declared: ImportEdge, episode: Episode) -> Times:
    source, target = episode.nodes[edge.source], episode.nodes[edge.target]
    sender, _ = log.ends(edge.name)
    noted = whole(log.topics[mapping.edge_topic(declared, sender)], str(declared.reader))
    rows = log.sent_rows(edge.name, declared)
    of_row = np.full(len(log.topics[sender.topic]), -1, np.int64)
    of_row[rows[rows >= 0]] = noted[rows >= 0]
    numbers = of_row[source.rows]
    return match(target.number[None], numbers[None])


def _arrays(log: Log, tree: Any, topic: Topic, key: str) -> dict[str, np.ndarray]:
    try:
        return mapping.arrays(tree, topic, key)
    except RexError as error:
        raise log.wrong(key, str(error)) from None


def _padded(rows: list[Times], value: int) -> Times:
    padded = np.full((len(rows), max((len(row) for row in rows), default=0)), value, np.int64)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = row
    return padded
