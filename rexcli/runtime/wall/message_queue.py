"""Receives messages on one edge in real time, and finds which tick reads them, by the timing rules."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from rexcli.timeline.spec import NANOSECONDS, EdgeTiming, NodeTiming

PyTree = Any


@dataclass(frozen=True)
class TickSchedule:
    """The scheduled times of ticks: `k / rate + phase`, ns, as in `rexcli.timeline.schedule.scheduled`."""

    rate: float
    phase: int

    def __call__(self, tick: int) -> int:
        return round(tick * float(NANOSECONDS) / self.rate) + self.phase


class ReceivedMessage(NamedTuple):
    """A message that has arrived; times in ns since the start of the episode."""

    seq: int
    sent: int
    arrived: int
    data: PyTree


class MessageQueue:
    """The messages of one edge. Callers must hold the episode's lock.

    Args:
        edge: the timing of the edge.
        source: the node that sends.
        sending, reading: the schedules of both nodes.
        initial: the source's `init_output`.
    """

    def __init__(
        self, edge: EdgeTiming, source: NodeTiming, sending: TickSchedule, reading: TickSchedule, initial: PyTree
    ):
        self.edge = edge
        self.window = deque([ReceivedMessage(-1, 0, 0, initial)] * edge.window, maxlen=edge.window)
        self.waiting: deque[ReceivedMessage] = deque()
        self._sending, self._reading = sending, reading
        self._expected = source.expected_delay + edge.expected_delay
        self._received = 0
        self._required = 0
        self._latest = 0
        self._settled: deque[int] = deque()
        self._needed = 0
        self._read_until = -1

    def put(self, seq: int, sent: int, time: int, data: PyTree, *, lost: bool = False) -> None:
        """Adds a message that arrives now or at a later `time`, or that is lost and would have arrived then.

        Messages keep their order unless they may overtake one another, and none arrives before a time up to which
        messages have been read.
        """
        self._received = seq + 1
        arrived = (
            max(time, self._read_until + 1) if self.edge.reorder else max(time, self._latest, self._read_until + 1)
        )
        if self.edge.blocking:
            self._settled.append(arrived)
        if not lost:
            self._latest = max(self._latest, arrived)
            self.waiting.append(ReceivedMessage(seq, sent, arrived, data))

    def require(self, tick: int) -> None:
        """Sets which messages tick `tick` of the reader must have received, if the edge blocks."""
        due, required = self._reading(tick), self._required
        while self._sending(required) < due or (not self.edge.skip and self._sending(required) == due):
            required += 1
        self._required = required

    @property
    def satisfied(self) -> bool:
        """Whether all messages that the reader's tick requires have been sent, so that their arrival is known."""
        return self._received >= self._required

    @property
    def needed(self) -> int:
        """When the last of the required messages arrives, or would if it were not lost; 0 if none is required."""
        first = self._received - len(self._settled)
        for _ in range(min(self._required - first, len(self._settled))):
            self._needed = max(self._needed, self._settled.popleft())
        return self._needed

    def read(self, start: int) -> list[ReceivedMessage]:
        """Moves the messages that a tick that starts at `start` reads into the window, and returns them."""
        edge = self.edge
        if edge.blocking:
            read = self._take(lambda message: message.seq < self._required)
        else:
            last = start - 1 if edge.leaves_simultaneous else start
            self._read_until = last
            if edge.jitter == "buffer":
                read = self._take(lambda each: max(each.arrived, self._sending(each.seq) + self._expected) <= last)
            else:
                read = self._take(lambda message: message.arrived <= last)
                if edge.reorder:
                    read.sort(key=lambda message: message.arrived)
        self.window.extend(read)
        return read

    def _take(self, due: Callable[[ReceivedMessage], bool]) -> list[ReceivedMessage]:
        """Removes and returns the waiting messages that are due, in the order in which they were sent."""
        read, waiting = [], self.waiting
        if self.edge.reorder:
            read = [message for message in waiting if due(message)]
            if read:
                self.waiting = deque(message for message in waiting if not due(message))
        else:
            while waiting and due(waiting[0]):
                read.append(waiting.popleft())
        return read
