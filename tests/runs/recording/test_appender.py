"""A file that grows is a finished one after every append, also after one that failed."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.runs.recording import appender as module
from rexcli.runs.recording.appender import Appender, end_mark

WRITES = st.lists(st.lists(st.binary(max_size=20), max_size=3), max_size=5)


class Disk:
    """Stands in for `os`: takes a few bytes at a time, and none past `room`."""

    ftruncate, close, fsync = os.ftruncate, os.close, os.fsync

    def __init__(self, room: int):
        self.room = room

    def pwrite(self, handle: int, data: memoryview, place: int) -> int:
        fits = min(len(data), 7, self.room - place)
        if fits <= 0:
            raise OSError(28, "No space left on device")
        return os.pwrite(handle, data[:fits], place)


@settings(max_examples=30, deadline=None)
@given(WRITES, st.integers(60, 120))
def test_every_append_that_fits_leaves_all_that_was_written_and_an_end(writes: list[list[bytes]], room: int) -> None:
    """And one that does not fit leaves what was there before."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path, whole = Path(folder, "a"), b""
        patch.setattr(module, "os", Disk(room))
        file = Appender(os.open(path, os.O_RDWR | os.O_CREAT))
        for texts in [[b"begin"], *writes]:
            for text in texts:
                assert file.write(text) == len(text)
            more = b"".join(texts)
            if more and len(whole + more + end_mark()) > room:
                with pytest.raises(OSError, match="No space left"):
                    file.flush()
            else:
                file.flush()
                whole += more
                assert file.digest.digest() == hashlib.sha256(whole).digest()
            assert path.read_bytes() == whole + end_mark()
        file.close()
        file.close()
        assert path.read_bytes() == whole + end_mark()


def test_a_file_that_is_finished_has_the_end_that_it_was_given(tmp_path: Path) -> None:
    file = Appender(os.open(tmp_path / "a", os.O_RDWR | os.O_CREAT))
    file.write(b"begin")
    file.flush()
    file.write(b", summary" + end_mark())
    assert file.tell() == len(b"begin, summary" + end_mark())
    file.finish()
    data = (tmp_path / "a").read_bytes()
    assert data == b"begin, summary" + end_mark()
    assert file.digest.hexdigest() == hashlib.sha256(data).hexdigest()
