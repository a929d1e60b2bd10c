"""What arrives on one edge in real time, and which tick reads it: the rules of time, one message at a time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

from rexcli.timeline.spec import NANOSECONDS, EdgeTiming, NodeTiming

PyTree = Any


@dataclass(frozen=True)
class TickSchedule:
    """When ticks are scheduled: `k / rate + phase`, ns, as `rexcli.timeline.schedule.scheduled` has it."""

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
    """One edge. Whoever calls holds the episode's lock.

    Args:
        edge: its rules.
        source: the node that sends.
        sending, reading: the schedules of both ends.
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
        self._read_until = -1

    def put(self, seq: int, sent: int, time: int, data: PyTree) -> None:
        """A message arrives. Messages keep their order, and none arrives at a moment that was read already."""
        self._latest = max(time, self._latest, self._read_until + 1)
        self._received = seq + 1
        self.waiting.append(ReceivedMessage(seq, sent, self._latest, data))

    def require(self, tick: int) -> None:
        """Sets what tick `tick` of the reader must have received, if the edge blocks."""
        due, required = self._reading(tick), self._required
        while self._sending(required) < due or (not self.edge.skip and self._sending(required) == due):
            required += 1
        self._required = required

    @property
    def satisfied(self) -> bool:
        """Whether all that the reader's tick requires has arrived."""
        return self._received >= self._required

    @property
    def needed(self) -> int:
        """When the last required message arrived, 0 if none is required."""
        if self._required == 0:
            return 0
        if self.waiting and (index := self._required - 1 - self.waiting[0].seq) >= 0:
            return self.waiting[index].arrived
        return self.window[-1].arrived

    def read(self, start: int) -> list[ReceivedMessage]:
        """Moves what a tick that starts at `start` reads into the window, and returns it."""
        edge, waiting, read = self.edge, self.waiting, []
        if edge.blocking:
            while waiting and waiting[0].seq < self._required:
                read.append(waiting.popleft())
        elif edge.jitter == "buffer":
            self._read_until = start
            while waiting and max(waiting[0].arrived, self._sending(waiting[0].seq) + self._expected) <= start:
                read.append(waiting.popleft())
        else:
            last = start - 1 if edge.skip else start
            self._read_until = last
            while waiting and waiting[0].arrived <= last:
                read.append(waiting.popleft())
        self.window.extend(read)
        return read
