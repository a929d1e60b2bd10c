"""Sends frames of bytes through a pipe, from the process that records to the one that writes the file.

`multiprocessing.connection` needs one system call to send a message and two to receive it. Here a thread sends all that
was recorded in the last 50 ms with one call, and the other end reads up to 1 MiB at a time.
"""

from __future__ import annotations

import os
import select
import struct
from enum import IntEnum
from typing import NamedTuple

HEAD = struct.Struct("<BI6q")
"""The head of a frame: its kind, the size of its payload in bytes, then its other fields in order."""
READ_BYTES = 2**20


class Kind(IntEnum):
    """The kind of a frame."""

    OPEN = 0
    """The first frame; its payload is `{"interval", "spec", "info"}` in JSON."""
    LAYOUT = 1
    """The layout of the steps with number `channel`; the payload is `{"node", "layout"}` in JSON."""
    STEP = 2
    """One step; the payload holds the bytes of its leaves, one after another."""
    MESSAGE = 3
    """One message; `channel` is the number of its edge."""
    FLUSH = 4
    """A request for an answer with the number `seq` once all earlier frames are in the file."""
    CLOSE = 5
    """The last frame; `seq` is 1 if the execution is complete."""
    STEPS = 6
    """Many steps, `seq` of them: the payload holds int64 columns, `STEP_HEADER` (of the layout), then each leaf."""
    MESSAGES = 7
    """Many messages, `seq` of them: the payload holds int64 columns, `MESSAGE_HEADER`."""


class Frame(NamedTuple):
    """One frame; its kind decides which fields have a meaning. Times are in ns."""

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
    """Reads frames from a pipe.

    Attributes:
        ended: whether no process can write to the pipe any more.
    """

    def __init__(self, handle: int):
        self.ended = False
        self._handle = handle
        self._rest = bytearray()

    def read(self, seconds: float) -> list[Frame]:
        """Waits for data for at most `seconds` and returns the complete frames.

        Raises:
            ValueError: a frame has an unknown kind.
        """
        if not select.select([self._handle], [], [], max(0.0, seconds))[0]:
            return []
        data = os.read(self._handle, READ_BYTES)
        self.ended = not data
        rest = self._rest
        rest += data
        at, frames = 0, []
        with memoryview(rest) as view:  # slices of it are not copied
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
    """Writes all bytes to the pipe, and blocks as long as needed."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]
