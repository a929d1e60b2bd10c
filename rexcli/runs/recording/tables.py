"""Assembles a timeline from records, which come in any order and may end anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rexcli.errors import RexError
from rexcli.timeline.phases import advances, phases
from rexcli.timeline.schedule import scheduled
from rexcli.timeline.spec import NEVER, SystemTiming
from rexcli.timeline.timeline import Messages, Steps, Timeline, Times


@dataclass(frozen=True)
class StepTable:
    """The recorded steps of one node as integers, `[steps]` each; times are int64 in ns."""

    episode: Times
    seq: Times
    start: Times
    end: Times

    @property
    def num_episodes(self) -> int:
        return int(self.episode.max(initial=-1)) + 1

    def rows(self, episodes: int) -> Times:
        """Returns the record of each tick, `[episodes, ticks]`, -1 from the first missing tick of an episode on.

        Of a tick that was recorded twice, the later record counts.
        """
        fits = (self.episode >= 0) & (self.episode < episodes) & (self.seq >= 0) & (self.seq < len(self.seq))
        width = int(self.seq[fits].max(initial=-1)) + 1
        rows = np.full((episodes, width), -1, np.int64)
        rows[self.episode[fits], self.seq[fits]] = np.flatnonzero(fits)
        rows[np.maximum.accumulate(rows < 0, axis=1)] = -1
        return rows[:, : int((rows >= 0).sum(axis=1).max(initial=0))]

    def counts(self, episodes: int) -> Times:
        """Returns the number of ticks of each episode before the first missing one, `[episodes]`."""
        return (self.rows(episodes) >= 0).sum(axis=1)

    def steps(self, episodes: int) -> Steps:
        rows = self.rows(episodes)
        there = rows >= 0
        start, end = (np.where(there, times[rows] if len(times) else NEVER, NEVER) for times in (self.start, self.end))
        return Steps(start, end, there.sum(axis=1))


@dataclass(frozen=True)
class MessageTable:
    """The recorded messages of one edge as integers, `[messages]` each; arrival is int64 in ns, `NEVER` for none."""

    episode: Times
    seq: Times
    arrive: Times
    reader: Times

    def messages(self, source: Steps, target: Steps) -> Messages:
        """Returns the messages of the source's recorded ticks, with readers among the target's recorded ticks."""
        arrive, reader = (
            np.full(source.start.shape, NEVER, np.int64),
            np.full(source.start.shape, -1, np.int64),
        )
        fits = (self.episode >= 0) & (self.episode < len(source.count)) & (self.seq >= 0)
        fits[fits] = self.seq[fits] < source.count[self.episode[fits]]
        where = self.episode[fits], self.seq[fits]
        arrive[where] = np.minimum(self.arrive[fits], NEVER)
        reader[where] = self.reader[fits]
        reader[(reader < 0) | (reader >= target.count[:, None])] = -1
        return Messages(arrive, reader)


def assemble(
    spec: SystemTiming,
    steps: Mapping[str, StepTable],
    messages: Mapping[str, MessageTable],
    episodes: int,
    unfinished: int | None,
) -> Timeline:
    """Assembles the timeline of a recording.

    Args:
        steps: recorded steps by node.
        messages: recorded messages by edge.
        episodes: number of episodes.
        unfinished: the last episode, if its recording ended before the episode did. It is cut at the last supervisor
            tick before which no step can be missing, and left out if no supervisor step remains.

    Raises:
        RexError: no supervisor step is left, or the steps of a node go back in time.
    """
    whole = {name: table.steps(episodes) for name, table in steps.items()}
    for name, node in whole.items():
        if (np.diff(node.start, axis=1) < 0).any() or (node.end < node.start).any() or (node.start < 0).any():
            raise RexError(f"damaged: the steps of node '{name}' go back in time")
    if unfinished is not None and unfinished < episodes:
        known = _known_until(spec, whole, unfinished)
        ticks = whole[spec.supervisor].start[unfinished]
        last = int(np.searchsorted(ticks, known, side="left")) - 1
        if last < 1:
            return assemble(spec, steps, messages, unfinished, None)
        whole = {name: _cut(node, unfinished, int(ticks[last])) for name, node in whole.items()}
    if episodes < 1 or (whole[spec.supervisor].count < 1).any():
        raise RexError(f"not one whole step of supervisor '{spec.supervisor}' was recorded; record again, for longer")
    return Timeline(
        spec,
        whole,
        {edge.name: messages[edge.name].messages(whole[edge.source], whole[edge.target]) for edge in spec.edges},
    )


def _known_until(spec: SystemTiming, steps: Mapping[str, Steps], episode: int) -> int:
    """Returns the time, ns, before which every step of the nodes other than the supervisor is known.

    A node's first unrecorded step starts no earlier than its last recorded one ended, and no earlier than scheduled.
    """
    until = NEVER
    phase = phases(spec)
    for node in spec.nodes:
        if node.name != spec.supervisor:
            count = int(steps[node.name].count[episode])
            next_start = int(steps[node.name].end[episode, count - 1]) if count else 0
            if not advances(spec, node):
                next_start = max(next_start, int(scheduled(node.rate, phase[node.name], count + 1)[count]))
            until = min(until, next_start)
    return until


def _cut(steps: Steps, episode: int, last: int) -> Steps:
    """Returns one episode without the steps that start after `last`, ns."""
    count = steps.count.copy()
    count[episode] = (steps.start[episode] <= last).sum()
    width = int(count.max())
    gone = np.arange(width) >= count[:, None]
    start, end = steps.start[:, :width], steps.end[:, :width]
    return Steps(np.where(gone, NEVER, start), np.where(gone, NEVER, end), count)
