"""Collects delays from a timeline: computation delays of nodes, communication delays of edges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from rexcli.timeline.message_outcomes import message_outcomes
from rexcli.timeline.spec import EdgeTiming
from rexcli.timeline.timeline import Timeline

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class DelaySamples:
    """The delays of one node or edge, in the order in which they happened.

    Attributes:
        kind, name: the node or edge.
        seconds: measured, `[samples]`.
        at_most: whether the delay may have been shorter, `[samples]`: the message waited for the one before it, since
            messages keep their order.
        at_least: whether the delay was longer, `[samples]`: the message was still under way when the recording ended.
        episode: the episode of each sample, `[samples]`.
        lost: whether a message that could have arrived never did, `[messages]`.
        lost_episode: the episode of each of these messages, `[messages]`.
        overtaken: whether some messages overtook others.
    """

    kind: Literal["node", "edge"]
    name: str
    seconds: Floats
    at_most: Flags
    at_least: Flags
    episode: npt.NDArray[np.int64]
    lost: Flags
    lost_episode: npt.NDArray[np.int64]
    overtaken: bool = False

    def __len__(self) -> int:
        return len(self.seconds)


def delay_samples(timeline: Timeline) -> Iterator[DelaySamples]:
    """Yields the delays of every node, then of every edge, in the order of declaration."""
    for node in timeline.spec.nodes:
        steps = timeline.steps[node.name]
        # The supervisor's last tick is where its last step ends: it computes nothing.
        count = steps.count - (node.name == timeline.spec.supervisor)
        episode, tick = np.nonzero(np.arange(steps.start.shape[1]) < count[:, None])
        seconds = (steps.end - steps.start)[episode, tick] / 1e9
        none = np.zeros(len(seconds), bool)
        yield DelaySamples("node", node.name, seconds, none, none, episode, none[:0], episode[:0])
    for edge in timeline.spec.edges:
        yield _edge(timeline, edge)


def _edge(timeline: Timeline, edge: EdgeTiming) -> DelaySamples:
    sent_at, arrive = timeline.steps[edge.source].end, timeline.messages[edge.name].arrive
    outcome = message_outcomes(timeline, edge)
    before = np.maximum.accumulate(np.where(outcome.arrived, arrive, -1), axis=1)
    overtaken = bool((outcome.arrived & (arrive < before)).any())
    held = np.zeros_like(outcome.arrived)
    if not overtaken:
        held[:, 1:] = outcome.arrived[:, 1:] & (arrive[:, 1:] == before[:, :-1])
    known = outcome.arrived | outcome.under_way
    episode, _ = np.nonzero(known)
    waited = np.where(outcome.under_way, np.maximum(outcome.over[:, None] - sent_at, 0), arrive - sent_at)
    seconds = waited[known] / 1e9
    return DelaySamples(
        "edge",
        edge.name,
        seconds,
        held[known],
        outcome.under_way[known],
        episode,
        *outcome.known(),
        overtaken=overtaken,
    )
