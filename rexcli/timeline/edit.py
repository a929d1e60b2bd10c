"""Makes timelines from timelines: without some nodes and edges, with more of them, or with other delays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rexcli.errors import RexError, suggest
from rexcli.timeline.phases import check, phases
from rexcli.timeline.reading import first_readers
from rexcli.timeline.schedule import scheduled
from rexcli.timeline.simulate import assemble, cover
from rexcli.timeline.spec import NEVER, SystemTiming
from rexcli.timeline.timeline import Messages, Steps, Timeline, Times
from rexcli.timeline.unroll import Sample


def drop(timeline: Timeline, *, nodes: Iterable[str] = (), edges: Iterable[str] = ()) -> Timeline:
    """Returns the timeline without some nodes (and their edges) and some edges; all other times stay the same.

    Raises:
        RexError: if a name is not in the timeline, or is the supervisor.
    """
    spec = timeline.spec
    gone_nodes, gone_edges = set(nodes), set(edges)
    for kind, gone, known in (
        ("node", gone_nodes, [node.name for node in spec.nodes]),
        ("edge", gone_edges, [edge.name for edge in spec.edges]),
    ):
        for name in sorted(gone.difference(known)):
            raise RexError(f"drop: no {kind} is called '{name}'{suggest(name, known)}")
    if spec.supervisor in gone_nodes:
        raise RexError(f"drop: node '{spec.supervisor}' is the supervisor, which steps are counted by; keep it")
    gone_edges |= {edge.name for edge in spec.edges if {edge.source, edge.target} & gone_nodes}
    kept = replace(
        spec,
        nodes=tuple(node for node in spec.nodes if node.name not in gone_nodes),
        edges=tuple(edge for edge in spec.edges if edge.name not in gone_edges),
    )
    return Timeline(
        kept,
        {node.name: timeline.steps[node.name] for node in kept.nodes},
        {edge.name: timeline.messages[edge.name] for edge in kept.edges},
    )


def augment(timeline: Timeline, spec: SystemTiming, sample: Sample) -> Timeline:
    """Adds the nodes and edges of `spec` that a timeline lacks, and simulates them by the timing rules.

    Recorded times stay exactly as they are. A recorded node with a new blocking input has not waited for it: it reads a
    message at the tick that should have waited, or at the first tick by which the message has arrived.

    Args:
        timeline: the recorded nodes and edges, all of which must be in `spec`.
        spec: the whole system; a recorded node or edge may have other options in it, but an edge must have the same two
            nodes.
        sample: draws delays of the new nodes and edges.

    Returns:
        The timeline of the whole system until the last recorded start of each episode.

    Raises:
        RexError: if `spec` lacks a recorded node or edge, has a recorded edge between other nodes, or has no timeline.
    """
    check(spec, recorded=timeline.steps)
    _check_holds(timeline.spec, spec)
    episodes = timeline.num_episodes
    last = _last_starts(timeline)
    horizon = int(last.max())
    phase = phases(spec)
    for name, steps in timeline.steps.items():
        # Wall-clock nodes may run ahead of their schedule; what their ticks require is known up to there.
        ticks = max(1, steps.start.shape[1])
        horizon = max(horizon, int(scheduled(spec.node(name).rate, phase[name], ticks)[-1]))
    unrolled, cutoff = cover(spec, sample, episodes, horizon, lambda _: last, timeline)
    return assemble(unrolled, cutoff, recorded=timeline)


def deliver(timeline: Timeline, delays: Mapping[str, int]) -> Timeline:
    """Returns the timeline with other constant delays, ns, by edge name, on edges that neither block nor buffer.

    Steps stay the same, and lost messages stay lost.
    """
    messages = dict(timeline.messages)
    for name, delay in delays.items():
        edge = timeline.spec.edge(name)
        source, target = timeline.steps[edge.source], timeline.steps[edge.target]
        gone = timeline.messages[name].arrive >= NEVER
        gone |= np.arange(source.end.shape[1]) >= source.count[:, None]
        arrive = np.where(gone, NEVER, source.end + delay)
        reader = first_readers(arrive, target.start, target.count, strictly=edge.leaves_simultaneous)
        messages[name] = Messages(arrive, np.where(gone, -1, reader))
    return replace(timeline, messages=messages)


def stack(timelines: Sequence[Timeline]) -> Timeline:
    """Returns one timeline with the episodes of several timelines of one system, one after another."""

    def rows(arrays: list[Times], fill: int) -> Times:
        ticks = max(array.shape[1] for array in arrays)
        padded = [np.pad(each, ((0, 0), (0, ticks - each.shape[1])), constant_values=fill) for each in arrays]
        return np.concatenate(padded)

    first = timelines[0]
    return Timeline(
        first.spec,
        {
            name: Steps(
                rows([each.steps[name].start for each in timelines], NEVER),
                rows([each.steps[name].end for each in timelines], NEVER),
                np.concatenate([each.steps[name].count for each in timelines]),
            )
            for name in first.steps
        },
        {
            name: Messages(
                rows([each.messages[name].arrive for each in timelines], NEVER),
                rows([each.messages[name].reader for each in timelines], -1),
            )
            for name in first.messages
        },
    )


def check_rules(recorded: SystemTiming, spec: SystemTiming) -> None:
    """Raises an error if a system has other timing rules than those with which a recording was made.

    Windows may differ, since they only say how many messages a step sees. So may expected delays, since they only
    affect nodes and edges that are simulated in addition to the recorded ones.

    Args:
        recorded: the spec of the recording.
        spec: the system; nodes and edges that only one of the two has are ignored.

    Raises:
        RexError: if they differ; the message begins with the key in the experiment, for example `nodes.world.rate=100`.
    """
    nodes, edges = {node.name: node for node in spec.nodes}, {edge.name: edge for edge in spec.edges}
    pairs: list[tuple[str, Any, Any, tuple[str, ...]]] = [
        *(("nodes", node, nodes.get(node.name), ("rate", "scheduling", "advance")) for node in recorded.nodes),
        *(("edges", edge, edges.get(edge.name), ("blocking", "skip", "jitter", "reorder")) for edge in recorded.edges),
    ]
    for section, then, now, keys in pairs:
        for key in keys:
            if now is not None and getattr(then, key) != getattr(now, key):
                was, value = (str(getattr(each, key)).lower().removesuffix(".0") for each in (then, now))
                raise RexError(
                    f"{section}.{then.name}.{key}={value}: the recording was made with {was}, which its times cannot "
                    f"be separated from; give {section}.{then.name}.{key}={was}, or leave from= out to simulate"
                )


def _check_holds(recorded: SystemTiming, spec: SystemTiming) -> None:
    names = [node.name for node in spec.nodes]
    for node in recorded.nodes:
        if node.name not in names:
            raise RexError(f"augment: recorded node '{node.name}' is not in the system; add it or drop it")
    edges = {edge.name: edge for edge in spec.edges}
    for edge in recorded.edges:
        if edge.name not in edges:
            raise RexError(f"augment: recorded edge '{edge.name}' is not in the system; add it or drop it")
        new = edges[edge.name]
        if (new.source, new.target) != (edge.source, edge.target):
            raise RexError(
                f"augment: edge '{edge.name}' was recorded from {edge.source} to {edge.target}, not from "
                f"{new.source} to {new.target}; give the new edge a name of its own"
            )


def _last_starts(timeline: Timeline) -> Times:
    """Returns the latest start in each episode, ns, `[episodes]`."""
    last = np.zeros(timeline.num_episodes, np.int64)
    rows = np.arange(len(last))
    for steps in timeline.steps.values():
        if steps.start.shape[1]:
            latest = steps.start[rows, np.maximum(steps.count, 1) - 1]
            last = np.where(steps.count > 0, np.maximum(last, latest), last)
    return last
