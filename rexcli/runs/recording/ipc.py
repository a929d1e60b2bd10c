"""Frames of bytes through a pipe, from the process that records to the one that writes the file.

`multiprocessing.connection` sends a message with a system call and receives it with two; a thread here sends all that
was recorded in the last 50 ms with one call, and the other end reads up to 1 MiB at a time.
"""

from __future__ import annotations

import os
import select
import struct
from enum import IntEnum
from typing import NamedTuple

HEAD = struct.Struct("<BI6q")
"""Of a frame: its kind, the size of its payload in bytes, then its other fields in their order."""
READ_BYTES = 2**20


class Kind(IntEnum):
    """What a frame is."""

    OPEN = 0
    """The first; the payload is `{"interval", "spec", "info"}` in JSON."""
    LAYOUT = 1
    """What steps of number `channel` are made of: the payload is `{"node", "layout"}` in JSON."""
    STEP = 2
    """The payload holds the bytes of the leaves, one after another."""
    MESSAGE = 3
    """`channel` counts the edges."""
    FLUSH = 4
    """Asks for an answer with the number `seq` once all before it is in the file."""
    CLOSE = 5
    """The last; `seq` is 1 if the execution is complete."""
    STEPS = 6
    """`seq` steps at once: the payload holds int64 columns, `STEP_HEADER` (of the layout), then each leaf of all."""
    MESSAGES = 7
    """`seq` messages at once: the payload holds int64 columns, `MESSAGE_HEADER`."""


class Frame(NamedTuple):
    """One frame; which fields say something depends on the kind. Times in ns."""

    kind: Kind
    channel: int = 0
    episode: int = 0
    seq: int = 0
    began: int = 0
    ended: int = 0
    reader: int = -1
    payload: bytes = b""

    def pack(self) -> bytes:
        return HEAD.pack(self.kind, len(self.payload), *self[1:7]) + self.payload


class Stream:
    """Frames out of a pipe.

    Attributes:
        ended: nobody is left who could write into it.
    """

    def __init__(self, handle: int):
        self.ended = False
        self._handle = handle
        self._rest = bytearray()

    def read(self, seconds: float) -> list[Frame]:
        """Waits at most so many seconds for data and returns the frames that are complete.

        Raises:
            ValueError: a frame of no known kind.
        """
        if not select.select([self._handle], [], [], max(0.0, seconds))[0]:
            return []
        data = os.read(self._handle, READ_BYTES)
        self.ended = not data
        rest = self._rest
        rest += data
        at, frames = 0, []
        with memoryview(rest) as view:  # a slice of which is no copy
            while len(rest) - at >= HEAD.size:
                kind, size, channel, episode, seq, began, ended, reader = HEAD.unpack_from(view, at)
                payload = at + HEAD.size
                if payload + size > len(rest):
                    break
                at = payload + size
                told = bytes(view[payload:at])
                frames.append(Frame(Kind(kind), channel, episode, seq, began, ended, reader, told))
        del rest[:at]
        return frames


def write(handle: int, data: bytes) -> None:
    """Writes all bytes to the pipe, blocking as long as needed."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]
