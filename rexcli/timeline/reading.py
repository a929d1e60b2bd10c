"""Describes in which order the messages of an edge are read, where some are lost or overtaken."""

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
