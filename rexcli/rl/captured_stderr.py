"""Captures what C++ writes to stderr while the processes of a training are connected, and turns an abort into one line.

The coordination service of JAX calls `abort()` from its own thread, after a stack trace, and offers no callback. Python
can neither catch that nor see what was written. So only here, file descriptor 2 is redirected to a temporary file while
processes are connected, and C has a handler for SIGABRT that reads it. Python's own `sys.stderr` is not redirected.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
import tempfile
from contextlib import suppress
from typing import Any, NoReturn

REFUSED = (
    "the others did not take this process, or one of them was lost while it waited for the rest; do all give the same "
    "distributed.processes, and each a distributed.process of its own?"
)
"""What to say when JAX aborts a process while it connects."""


class CapturedStderr:
    """Captures what C++ writes to stderr while processes are connected, and explains in a line if it aborts
    this one.
    """

    def __init__(self) -> None:
        self._index: int | None = None
        self._closed = self._stays = self._forgotten = False

    def __enter__(self) -> CapturedStderr:
        sys.stderr.flush()
        self._before = sys.stderr
        self._kept = os.dup(2)
        self._file = tempfile.TemporaryFile()
        sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
        os.dup2(self._file.fileno(), 2)
        self._handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(self._aborted)
        self._on_abort(ctypes.cast(self._handler, ctypes.c_void_p))
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def expect(self, index: int) -> None:
        """Sets the number of this process."""
        self._index = index

    def stay(self) -> None:
        """Makes `close` leave everything as it is."""
        self._stays = True

    def forget(self) -> None:
        """Ignores further output, after a C++ thread was abandoned, which may write and abort when its process is
        alone.
        """
        self._stays = self._forgotten = True

    def close(self) -> None:
        """Restores stderr, and writes what was captured."""
        if self._closed or self._stays:
            return
        self._closed, written = True, self._written()
        sys.stderr.flush()
        sys.stderr = self._before
        os.dup2(self._kept, 2)
        self._on_abort(None)
        os.write(2, written)
        os.close(self._kept)
        self._file.close()

    def lost(self) -> str:
        """Returns the message for processes that have lost their connection."""
        found = re.search(r"stopped sending heartbeats\):\n((?:\S*\d\n)+)", self._written().decode(errors="replace"))
        numbers = re.findall(r"(\d+)\n", found[1]) if found else []
        who = f"process {', '.join(numbers)}" if numbers else "process 0" if self._index else "another process"
        return (
            f"{who} is gone: it was killed, or its machine, or the network; what was trained until the last checkpoint "
            "is kept, and rex train resume=RUN goes on from there"
        )

    def _written(self) -> bytes:
        size = os.fstat(self._file.fileno()).st_size
        return os.pread(self._file.fileno(), size, 0)

    def _aborted(self, _: int) -> NoReturn:
        """Handles SIGABRT, in whatever thread C++ aborts."""
        if self._forgotten:
            os._exit(2)
        written = self._written()
        if b"JAX distributed service" not in written:
            os.write(self._kept, written)
            os._exit(128 + signal.SIGABRT)
        told = REFUSED if self._index is None else self.lost()
        os.write(self._kept, f"error: {told}\n".encode())
        os._exit(2 if self._index is None else 1)

    @staticmethod
    def _on_abort(handler: Any) -> None:
        """Sets C's own handler: Python's would run only once C++ has returned, which it does not."""
        with suppress(OSError, AttributeError):
            set_handler = ctypes.CDLL(None).signal
            set_handler.restype, set_handler.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]
            set_handler(signal.SIGABRT, handler)
