"""Writes a file that only grows, and that is a finished MCAP file after every append."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress

from mcap.data_stream import RecordBuilder
from mcap.records import DataEnd, Footer

MAGIC = b"\x89MCAP0\r\n"


def end_mark() -> bytes:
    """Returns the end of an MCAP file without a summary."""
    builder = RecordBuilder()
    DataEnd(data_section_crc=0).write(builder)
    Footer(summary_start=0, summary_offset_start=0, summary_crc=0).write(builder)
    return builder.end() + MAGIC


class Appender:
    """A stream for `mcap.Writer`, which collects data in memory and appends it with one system call per flush.

    An end mark follows what is written, and the next append writes over it. Where an append fails (the disk is full),
    the file is cut back to what it was before.

    Args:
        handle: file descriptor of an open, empty file.

    Attributes:
        digest: SHA-256 of what was appended without the end mark, or of the whole file once it is finished.
    """

    def __init__(self, handle: int):
        self.digest = hashlib.sha256()
        self._handle = handle
        self._pending: list[bytes] = []
        self._written = 0
        self._length = 0
        self._end_mark = end_mark()

    def write(self, data: bytes) -> int:
        self._pending.append(data)
        self._length += len(data)
        return len(data)

    def tell(self) -> int:
        return self._length

    def flush(self) -> None:
        """Appends the collected data and a new end mark.

        Raises:
            OSError: the data do not fit; the file is as it was before.
        """
        data = b"".join(self._pending)
        if data:
            self._append(data, self._end_mark)

    def finish(self) -> None:
        """Appends the collected data, which has its own end, forces the file to disk, and closes it."""
        self._append(b"".join(self._pending), b"")
        os.fsync(self._handle)
        self.close()

    def close(self) -> None:
        """Closes the file as the last flush left it."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _append(self, data: bytes, end: bytes) -> None:
        self._pending.clear()
        try:
            write_at(self._handle, data + end, self._written)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._handle, self._written)
                write_at(self._handle, self._end_mark, self._written)
            raise
        self._written += len(data)
        self.digest.update(data)


def write_at(handle: int, data: bytes, offset: int) -> None:
    """Writes all of `data` at an offset of an open file.

    Raises:
        OSError: the data do not fit; a part may have been written.
    """
    rest = memoryview(data)
    while rest:
        count = os.pwrite(handle, rest, offset)
        offset, rest = offset + count, rest[count:]
