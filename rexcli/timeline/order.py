"""Sorts the steps of an episode into an order in which they can be executed one after another."""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError
from rexcli.timeline.phases import topological
from rexcli.timeline.timeline import Timeline

Indices = npt.NDArray[np.int64]


def order(timeline: Timeline, episode: int) -> tuple[Indices, Indices]:
    """Sorts the steps of one episode by start time and, at equal times, after the steps whose messages they read.

    Returns:
        `(node, tick)`, `[steps]` each: the node's index in `timeline.spec.nodes`, and its tick.

    Raises:
        RexError: if steps wait for each other's messages in a cycle; the message names the cycle.
    """
    spec = timeline.spec
    names = [node.name for node in spec.nodes]
    rank = {name: index for index, name in enumerate(topological(spec))}
    counts = np.array([timeline.steps[name].count[episode] for name in names], np.int64)
    first = np.cumsum(counts) - counts
    node = np.repeat(np.arange(len(names)), counts)
    tick = np.arange(len(node)) - first[node]
    start = np.concatenate(
        [timeline.steps[name].start[episode, :count] for name, count in zip(names, counts, strict=True)]
    )
    ranks = np.array([rank[name] for name in names], np.int64)[node]
    before, after = _dependencies(timeline, episode, dict(zip(names, first.tolist(), strict=True)), node)
    sequence = np.lexsort((tick, ranks, start))
    place = np.empty_like(sequence)
    place[sequence] = np.arange(len(sequence))
    if (place[before] >= place[after]).any():
        sequence = _by_dependency(place, before, after, [f"{names[n]}#{k}" for n, k in zip(node, tick, strict=True)])
    return node[sequence], tick[sequence]


def _dependencies(timeline: Timeline, episode: int, first: dict[str, int], node: Indices) -> tuple[Indices, Indices]:
    """Returns pairs of steps `(before, after)`, `[pairs]` each; a node's steps are numbered from `first[node]` on."""
    own = np.flatnonzero(node[1:] == node[:-1])
    before, after = [own], [own + 1]
    for edge in timeline.spec.edges:
        count = timeline.steps[edge.source].count[episode]
        reader = timeline.messages[edge.name].reader[episode, :count]
        read = np.flatnonzero(reader >= 0)
        before.append(first[edge.source] + read)
        after.append(first[edge.target] + reader[read])
    return np.concatenate(before), np.concatenate(after)


def _by_dependency(place: Indices, before: Indices, after: Indices, labels: list[str]) -> Indices:
    """Returns the order closest to `place` that respects every pair (Kahn's algorithm with a heap)."""
    waiting = np.bincount(after, minlength=len(place))
    followers: list[list[int]] = [[] for _ in labels]
    for source, target in zip(before.tolist(), after.tolist(), strict=True):
        followers[source].append(target)
    ready = [(int(place[step]), int(step)) for step in np.flatnonzero(waiting == 0)]
    heapq.heapify(ready)
    done: list[int] = []
    while ready:
        _, step = heapq.heappop(ready)
        done.append(step)
        for follower in followers[step]:
            waiting[follower] -= 1
            if not waiting[follower]:
                heapq.heappush(ready, (int(place[follower]), follower))
    if len(done) < len(labels):
        circle = " -> ".join(labels[step] for step in _circle(set(np.flatnonzero(waiting).tolist()), followers))
        raise RexError(
            f"steps that wait for each other's messages: {circle}; give a node or an edge of this loop a delay"
        )
    return np.array(done, np.int64)


def _circle(stuck: set[int], followers: list[list[int]]) -> list[int]:
    """Returns a closed walk among the steps that can never run; each of them has a predecessor among them."""
    predecessor = {after: step for step in sorted(stuck) for after in followers[step] if after in stuck}
    walk = [min(stuck)]
    while walk[-1] not in walk[:-1]:
        walk.append(predecessor[walk[-1]])
    circle = walk[walk.index(walk[-1]) :]
    return circle[::-1]
