"""A long row of integers is the same whether memory holds it or a file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from rexcli.runs.recording import appender as module
from rexcli.runs.recording.series import RECENT, Series


def test_what_was_moved_out_of_memory_is_still_there(tmp_path: Path) -> None:
    series, values = Series(tmp_path), np.arange(5 * RECENT) * 2**33 - 7
    for count, value in enumerate(values.tolist(), start=1):
        series.add(value)
        if count % 1000 == 0:
            series.move()
            assert len(series._newest) < 2 * RECENT
            np.testing.assert_array_equal(series.newest(), values[max(0, count - RECENT) : count])
    assert len(series) == len(values)
    np.testing.assert_array_equal(series.all(), values)
    assert series._moved > 2 * RECENT
    assert list(tmp_path.iterdir()) == [], "the file has a name"


def test_a_short_one_opens_no_file() -> None:
    series = Series()
    for value in range(RECENT):
        series.add(value)
    series.move()
    assert series._file is None
    np.testing.assert_array_equal(series.all(), np.arange(RECENT))


class ShortOfSpace:
    """Stands in for `os`: writes a part, then finds the disk full, until there is `room` again."""

    def __init__(self) -> None:
        self.room = False

    def pwrite(self, handle: int, data: memoryview, place: int) -> int:
        if len(data) <= 1000 and not self.room:
            raise OSError(28, "No space left on device")
        return os.pwrite(handle, data[:-1000] if len(data) > 1000 else data, place)


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, series, values = ShortOfSpace(), Series(tmp_path), np.arange(3 * RECENT)
    monkeypatch.setattr(module, "os", disk)
    for value in values.tolist():
        series.add(value)
    series.move()
    assert len(series._newest) == len(values)
    np.testing.assert_array_equal(series.all(), values)
    disk.room = True
    series.move()
    assert len(series._newest) == RECENT
    np.testing.assert_array_equal(series.all(), values)
