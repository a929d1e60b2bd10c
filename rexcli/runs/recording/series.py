"""Keeps series of integers with only the newest in memory, since an execution in real time may take hours."""

from __future__ import annotations

import tempfile
from array import array
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from rexcli.runs.recording.appender import write_at

RECENT = 4096
"""Least number of integers that stay in memory, for statistics over the newest."""


class Series:
    """A series of 64-bit integers in the order in which they were added.

    One thread may add integers while another moves older ones to a temporary file and reads the newest. If there is no
    space for the file, all stay in memory.

    Args:
        folder: folder of the temporary file, which has no name and vanishes with this process; None for the system's.
    """

    def __init__(self, folder: Path | None = None):
        self._folder = folder
        self._newest = array("q")
        self._file: BinaryIO | None = None
        self._moved = 0
        self.add = self._newest.append

    def __len__(self) -> int:
        return self._moved + len(self._newest)

    def move(self) -> None:
        """Moves all but the newest integers to the file, if there are many."""
        count = len(self._newest) - RECENT
        if count < RECENT:
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
            write_at(self._file.fileno(), self._newest[:count].tobytes(), self._moved * self._newest.itemsize)
        except OSError:
            return
        self._moved += count
        del self._newest[:count]

    def newest(self) -> npt.NDArray[np.int64]:
        """Returns the newest integers, `[at most RECENT]`."""
        return np.array(self._newest[-RECENT:], np.int64)

    def all(self) -> npt.NDArray[np.int64]:
        """Returns all integers, `[len(self)]`."""
        held = np.array(self._newest[:], np.int64)
        if self._file is None:
            return held
        self._file.seek(0)
        return np.concatenate([np.fromfile(self._file, np.int64, self._moved), held])
