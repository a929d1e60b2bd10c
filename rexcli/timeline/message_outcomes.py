"""Classifies the messages of an edge: they arrived, were lost, or were in transit when the episode ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rexcli.timeline.spec import NEVER, EdgeTiming
from rexcli.timeline.timeline import Timeline, Times

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class MessageOutcomes:
    """The outcome of each message that was sent, as masks, bool `[episodes, source ticks]`.

    Attributes:
        arrived: it arrives, possibly after the episode's end.
        lost: it never arrives.
        under_way: it has not arrived by the end of the episode, but was sent so late that it might still arrive.
        over: when the episode ends, ns, `[episodes]`: the start of the last step in it.
    """

    arrived: Flags
    lost: Flags
    under_way: Flags
    over: Times

    def known(self) -> tuple[Flags, Times]:
        """Returns whether each message whose outcome is known is lost, `[messages]`, and its episode, `[messages]`."""
        known = self.arrived | self.lost
        return self.lost[known], np.nonzero(known)[0]


def message_outcomes(timeline: Timeline, edge: EdgeTiming) -> MessageOutcomes:
    """Returns what became of an edge's messages. The supervisor's last tick, which ends its last step, sends none."""
    steps, arrive = timeline.steps[edge.source], timeline.messages[edge.name].arrive
    count = steps.count - (edge.source == timeline.spec.supervisor)
    over = _last_instant(timeline)
    sent = np.arange(arrive.shape[1]) < count[:, None]
    arrived = sent & (arrive < NEVER)
    longest = int((arrive - steps.end)[arrived].max(initial=0))
    under_way = sent & ~arrived & (over[:, None] - steps.end < longest)
    return MessageOutcomes(arrived, sent & ~arrived & ~under_way, under_way, over)


def count_losses(lost: Flags, episode: Times) -> tuple[float, float]:
    """Returns the share of messages that are lost, and the mean number of losses in a row; both are 0 if none is lost.

    Args:
        lost: whether each message is lost, `[messages]`, in the order in which they were sent.
        episode: the episode of each message, `[messages]`.
    """
    if not lost.any():
        return 0.0, 0.0
    begins = lost.copy()
    begins[1:] &= ~(lost[:-1] & (episode[1:] == episode[:-1]))
    return float(lost.mean()), float(lost.sum() / begins.sum())


def _last_instant(timeline: Timeline) -> Times:
    latest = np.zeros(timeline.num_episodes, np.int64)
    for steps in timeline.steps.values():
        if steps.start.shape[1]:
            latest = np.maximum(latest, np.where(steps.start < NEVER, steps.start, 0).max(axis=1))
    return latest
