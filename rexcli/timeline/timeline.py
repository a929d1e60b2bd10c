"""Defines a timeline: when each step of each node runs, when each message arrives, and which step reads it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rexcli.timeline.reading import Reading
from rexcli.timeline.spec import EdgeTiming, SystemTiming

Times = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Steps:
    """The steps of one node.

    Attributes:
        start: when tick k starts, ns, `[episodes, ticks]`; rows never decrease.
        end: when its output is sent, ns, `[episodes, ticks]`.
        count: how many ticks each episode has, `[episodes]`; entries at or past it are `NEVER`.
    """

    start: Times
    end: Times
    count: Times


@dataclass(frozen=True)
class Messages:
    """The messages of one edge; message i is what tick i of the source sent.

    Attributes:
        arrive: when message i arrives, ns, `[episodes, source ticks]`, possibly after the episode's end; `NEVER` if
            there is no tick i or the message is lost.
        reader: the target's tick that reads message i, `[episodes, source ticks]`; -1 if none does.
    """

    arrive: Times
    reader: Times


@dataclass(frozen=True)
class Timeline:
    """One or more episodes of one system.

    An episode of N steps holds the supervisor's ticks 0 … N and all ticks of the other nodes that start no later than
    the supervisor's last one. Tick N ends step N, so its window is the last observation. An episode of T seconds, or
    one recorded until it was stopped, may continue after the supervisor's last tick.

    Attributes:
        spec: the system.
        steps: the steps of each node, by name.
        messages: the messages of each edge, by name.
    """

    spec: SystemTiming
    steps: dict[str, Steps]
    messages: dict[str, Messages]

    @property
    def num_episodes(self) -> int:
        return self.steps[self.spec.supervisor].start.shape[0]

    @property
    def num_steps(self) -> Times:
        """The number of supervisor steps in each episode, `[episodes]`: one less than the supervisor's ticks."""
        return self.steps[self.spec.supervisor].count - 1

    def newest(self, edge: EdgeTiming) -> Times:
        """Returns the sequence number of the newest message that each tick of `edge.target` has read, -1 before any.

        Returns:
            `[episodes, target ticks]`; rows never decrease. If messages are neither lost nor overtaken, the window at
            tick k holds messages `newest - window + 1 … newest`; in general, use `window`.
        """
        ticks = self.steps[edge.target].start.shape[1]
        reader = self.messages[edge.name].reader
        newest = np.full((len(reader), ticks + 1), -1, np.int64)
        # If one tick reads several messages, the last assignment, that of the newest, remains.
        newest[np.arange(len(reader))[:, None], np.where(reader < 0, ticks, reader)] = np.arange(reader.shape[1])
        return np.maximum.accumulate(newest[:, :ticks], axis=1)

    def reading(self, edge: EdgeTiming) -> Reading | None:
        """Returns the order in which the messages of an edge are read; None for 0, 1, 2, …: none is lost or overtaken.

        Messages that one tick reads are in the order of arrival; with `blocking` or `jitter: buffer`, in the order of
        sending.
        """
        arrive, reader = self.messages[edge.name].arrive, self.messages[edge.name].reader
        by_arrival = not edge.blocking and edge.jitter == "latest"
        read = reader >= 0
        both = read[:, 1:] & read[:, :-1]
        jumps = (read[:, 1:] & ~read[:, :-1]) | (both & (reader[:, 1:] < reader[:, :-1]))
        if by_arrival:
            jumps |= both & (arrive[:, 1:] < arrive[:, :-1])
        if not jumps.any():
            return None
        ticks = self.steps[edge.target].start.shape[1]
        order = np.argsort(arrive if by_arrival else np.zeros_like(arrive), axis=1, kind="stable")
        read_by = np.take_along_axis(np.where(read, reader, ticks), order, axis=1)
        order = np.take_along_axis(order, np.argsort(read_by, axis=1, kind="stable"), axis=1)
        return Reading(self.reads(edge), order)

    def window(self, edge: EdgeTiming, size: int | None = None) -> Times:
        """Returns the sequence numbers of the messages that each tick of `edge.target` sees, oldest first, -1 in a gap.

        Args:
            edge: an edge of this timeline.
            size: number of messages; the edge's window if None.

        Returns:
            `[episodes, target ticks, size]`.
        """
        last = np.arange(1 - (edge.window if size is None else size), 1)
        reading = self.reading(edge)
        if reading is None:
            return np.maximum(self.newest(edge)[..., None] + last, -1)
        return np.maximum(reading.at(reading.count[..., None] - 1 + last), -1)

    def reads(self, edge: EdgeTiming) -> Times:
        """Returns how many messages have been read by the end of each tick of `edge.target`,
        `[episodes, target ticks]`.
        """
        ticks = self.steps[edge.target].start.shape[1]
        reader = self.messages[edge.name].reader
        read_by = np.where(reader < 0, ticks, reader)
        offset = (ticks + 1) * np.arange(len(reader))[:, None]
        counts = np.bincount((read_by + offset).ravel(), minlength=len(reader) * (ticks + 1))
        return np.cumsum(counts.reshape(len(reader), ticks + 1)[:, :ticks], axis=1)

    def select(self, episodes: slice | list[int]) -> Timeline:
        """Returns the timeline with only some of its episodes."""
        return Timeline(
            self.spec,
            {
                name: Steps(steps.start[episodes], steps.end[episodes], steps.count[episodes])
                for name, steps in self.steps.items()
            },
            {
                name: Messages(messages.arrive[episodes], messages.reader[episodes])
                for name, messages in self.messages.items()
            },
        )
