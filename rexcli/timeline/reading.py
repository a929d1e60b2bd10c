"""Finds which tick reads each message, and in which order the messages of an edge are read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reading:
    """The messages that the ticks of an edge's target read, in order.

    Attributes:
        count: how many messages have been read up to and including each tick, `[episodes, ticks]`.
        order: sequence number of the j-th message that is read, `[episodes, source ticks]`; messages that are never
            read come last.
    """

    count: Times
    order: Times

    def at(self, place: Times, episodes: list[int] | None = None) -> Times:
        """Returns the sequence numbers of the messages at places of the reading order; places below 0 stay as they are.

        Args:
            place: `[episodes, ...]`.
            episodes: the episodes that the rows of `place` belong to; all if None.
        """
        rows = np.asarray(range(len(self.order)) if episodes is None else episodes).reshape(-1, *[1] * (place.ndim - 1))
        return np.where(place < 0, place, self.order[rows, np.clip(place, 0, self.order.shape[1] - 1)])

    @property
    def read(self) -> npt.NDArray[np.bool_]:
        """Whether a message is read at each place of the reading order, `[episodes, source ticks]`."""
        total = self.count[:, -1:] if self.count.shape[1] else np.zeros((len(self.order), 1), np.int64)
        return np.arange(self.order.shape[1]) < total

    @cached_property
    def oldest(self) -> Times:
        """The lowest sequence number at each place or later, `[episodes, source ticks + 1]`; the largest int64 for
        none.
        """
        none = np.iinfo(np.int64).max
        first = np.where(self.read, self.order, none)
        first = np.minimum.accumulate(first[:, ::-1], axis=1)[:, ::-1]
        return np.pad(first, ((0, 0), (0, 1)), constant_values=none)

    def room(self, window: int) -> int:
        """Returns how many of the last messages read always hold the `window` newest of those sent after any time."""
        before = np.maximum.accumulate(self.order, axis=1)
        late = np.cumsum(self.read & (self.order < before), axis=1)
        size = window
        while size < late.shape[1]:
            most = int((late[:, size:] - late[:, :-size]).max(initial=0))
            most = max(most, int(late[:, size - 1].max(initial=0)))
            if window + most <= size:
                break
            size = window + most
        return size


def blocking_readers(required: Times, messages: int, count: Times) -> Times:
    """Returns the first tick that requires message i, `[episodes, messages]`; -1 if the episode ends before it.

    Args:
        required: messages that each tick waits for, `[target ticks]`.
        messages: how many messages to assign.
        count: the target's ticks in each episode, `[episodes]`.
    """
    reader = np.searchsorted(required, np.arange(messages), side="right")
    return np.where(reader < count[:, None], reader, -1)


def first_readers(arrive: Times, start: Times, count: Times, *, strictly: bool) -> Times:
    """Returns the first tick that starts at or after (`strictly`: after) a message's time, `[episodes, messages]`.

    It is -1 where there is none. One binary search serves all episodes, since each row is shifted to its own time
    range.

    Args:
        arrive: ns, `[episodes, messages]`.
        start: the target's starts, ns, `[episodes, ticks]`; entries past `count` are later than all others.
        count: the target's ticks in each episode, `[episodes]`.
        strictly: a message that arrives exactly at the start of a step is read by the next step.
    """
    episodes, ticks = start.shape
    if not ticks or not arrive.size:
        return np.full(arrive.shape, -1, np.int64)
    live = start[np.arange(episodes), np.maximum(count, 1) - 1][count > 0]
    span = (int(live.max()) if len(live) else 0) + 2
    rows = max(1, min(episodes, 2**62 // span))
    reader = np.empty(arrive.shape, np.int64)
    for first in range(0, episodes, rows):
        part = slice(first, first + rows)
        row = np.arange(len(start[part]))[:, None]
        haystack = np.minimum(start[part], span - 1) + row * span
        needles = np.minimum(arrive[part] + strictly, span - 1) + row * span
        reader[part] = np.searchsorted(haystack.ravel(), needles.ravel()).reshape(needles.shape) - row * ticks
    reader[reader >= count[:, None]] = -1
    return reader
