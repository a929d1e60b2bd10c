"""In which order the messages of an edge are read, where that is not simply 0, 1, 2, …: some are lost, or overtaken."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reading:
    """What the ticks of an edge's target read.

    Attributes:
        count: messages that each tick and those before it have read, `[episodes, ticks]`.
        order: sequence number of the j-th message that is read, `[episodes, source ticks]`; those that nobody reads
            come last.
    """

    count: Times
    order: Times

    def at(self, place: Times, episodes: list[int] | None = None) -> Times:
        """Sequence numbers of the messages that are read at some places; places below 0 stand for gaps.

        Args:
            place: `[episodes, ...]`.
            episodes: which these are; all if None.
        """
        rows = np.asarray(range(len(self.order)) if episodes is None else episodes).reshape(-1, *[1] * (place.ndim - 1))
        return np.where(place < 0, place, self.order[rows, np.clip(place, 0, self.order.shape[1] - 1)])

    @property
    def read(self) -> npt.NDArray[np.bool_]:
        """Whether a message is read at all at each place, `[episodes, source ticks]`."""
        total = self.count[:, -1:] if self.count.shape[1] else np.zeros((len(self.order), 1), np.int64)
        return np.arange(self.order.shape[1]) < total

    @cached_property
    def oldest(self) -> Times:
        """The lowest sequence number at each place or later, `[episodes, source ticks + 1]`; very high for none."""
        none = np.iinfo(np.int64).max
        first = np.where(self.read, self.order, none)
        first = np.minimum.accumulate(first[:, ::-1], axis=1)[:, ::-1]
        return np.pad(first, ((0, 0), (0, 1)), constant_values=none)

    def room(self, window: int) -> int:
        """How many of the last messages hold the last `window` sent from any moment on, however many were overtaken."""
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
