"""Delays as a timeline shows them: computation of nodes, transmission of edges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from rexcli.timeline.spec import NEVER, EdgeTiming
from rexcli.timeline.timeline import Timeline

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class DelaySamples:
    """The delays of one node or edge, in the order in which they happened.

    Attributes:
        kind, name: whose.
        seconds: measured, `[samples]`.
        at_most: where the delay itself may have been shorter, `[samples]`: a message that waited for the one before it,
            since messages keep their order.
        at_least: where it was longer, `[samples]`: a message that was still under way when the recording ended.
        episode: of each sample, `[samples]`.
        lost: of every message that could have arrived, whether it never did, `[messages]`.
        lost_episode: of each of these, `[messages]`.
    """

    kind: Literal["node", "edge"]
    name: str
    seconds: Floats
    at_most: Flags
    at_least: Flags
    episode: npt.NDArray[np.int64]
    lost: Flags
    lost_episode: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.seconds)


def delay_samples(timeline: Timeline) -> Iterator[DelaySamples]:
    """The delays of every node, then of every edge, in the order of declaration."""
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
    steps, arrive = timeline.steps[edge.source], timeline.messages[edge.name].arrive
    count = steps.count - (edge.source == timeline.spec.supervisor)
    sent_at, over = steps.end, _last_instant(timeline)
    sent = np.arange(arrive.shape[1]) < count[:, None]
    came = sent & (arrive < NEVER)
    delay = np.where(came, arrive - sent_at, 0)
    longest = int(delay.max(initial=0))
    # What has not come by the end is still under way if it may be, and lost if it was sent long before.
    under_way = sent & ~came & (over[:, None] - sent_at < longest)
    lost = sent & ~came & ~under_way
    before = np.maximum.accumulate(np.where(came, arrive, -1), axis=1)
    held = np.zeros_like(came)
    held[:, 1:] = came[:, 1:] & (arrive[:, 1:] == before[:, :-1])
    known = came | under_way
    episode, _ = np.nonzero(known)
    waited = np.where(under_way, np.maximum(over[:, None] - sent_at, 0), delay)
    could, _ = np.nonzero(came | lost)
    return DelaySamples(
        "edge", edge.name, waited[known] / 1e9, held[known], under_way[known], episode, lost[came | lost], could
    )


def _last_instant(timeline: Timeline) -> npt.NDArray[np.int64]:
    """The last thing that is known to have happened in each episode, ns, `[episodes]`."""
    latest = np.zeros(timeline.num_episodes, np.int64)
    for steps in timeline.steps.values():
        if steps.start.shape[1]:
            latest = np.maximum(latest, np.where(steps.start < NEVER, steps.start, 0).max(axis=1))
    return latest
