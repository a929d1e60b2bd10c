"""A process of its own that writes a recording, so that the work of writing takes no time from a robot's nodes.

It ends when it is told to, or when whoever told it things is gone: a recorder that was killed leaves a whole file, up
to its last moment. Signals that mean the recorder, which may go to all of its processes, do not stop it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import rexcli
from rexcli.errors import RexError
from rexcli.runs.recording import ipc
from rexcli.runs.recording.encoder import Encoder
from rexcli.runs.recording.ipc import Frame, Kind

PIPE_BYTES = 2**20
"""Size of the pipe, where the system allows it."""
BATCH_BYTES = 4 * 2**20
"""Bytes after which records are appended without waiting for the interval."""
START = "import sys; sys.path.append(sys.argv[1]); from rexcli.runs.recording import process; process.main()"

GIVE_BACK = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), "65536")
"""Bytes from which the C library (glibc) gives memory back at once. Without these it raises them with each large array,
and 6,000 chunks, some of them bursts, took 64 MB that were never given back; with them none."""


class WriterProcess:
    """The process that writes a recording, as the one that records sees it.

    Args:
        file: an open file, empty, that becomes the recording. The process has its own hold of it.

    Attributes:
        requests: a pipe for frames.
        answers: a pipe that says in lines of JSON what became of them, see `Service`.
        pid: the process's number.

    Raises:
        RexError: it cannot be started.
    """

    def __init__(self, file: int):
        # Its own modules come first (-P): whatever lies in the current folder is not for it.
        command = [sys.executable or "python3", "-P", "-c", START, str(Path(rexcli.__file__).parents[1]), str(file)]
        try:
            self._process = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[file],
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **GIVE_BACK},
                start_new_session=True,
            )
        except OSError as error:
            raise RexError(f"recording: the process that writes it does not start: {error}") from None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.pid = self._process.pid
        self.requests: int = self._process.stdin.fileno()
        self.answers: int = self._process.stdout.fileno()
        with suppress(ImportError, AttributeError, OSError):
            import fcntl

            fcntl.fcntl(self.requests, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def close(self) -> None:
        """Closes the pipes: nobody may use them any more."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def wait(self) -> str:
        """Waits until the process has ended; returns how it ended, in words."""
        code = self._process.wait()
        return f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"


class Service:
    """What the process does with the frames of one recording.

    Answers are `{"flushed": number}`, `{"failed": why, "count": records in the file}` (once; all later frames are
    only taken) and `{"closed": true, "sha256": of the file}`.
    """

    def __init__(self, answers: int, file: int):
        self.closed = False
        self._answers = answers
        self._encoder = Encoder(file)
        self._records: list[Frame] = []
        self._bytes = 0
        self._began = self._failed = self._complete = False
        self._interval = 0.0
        self._due = 0.0

    @property
    def seconds(self) -> float:
        """Until the next append."""
        return self._due - time.monotonic() if self._records else 60.0

    def take(self, frame: Frame) -> None:
        """Handles one frame."""
        if frame.kind in (Kind.STEP, Kind.MESSAGE, Kind.STEPS, Kind.MESSAGES):
            if not self._records:
                self._due = time.monotonic() + self._interval
            self._records.append(frame)
            self._bytes += ipc.HEAD.size + len(frame.payload)
            if self._bytes > BATCH_BYTES:
                self.append()
        elif frame.kind == Kind.FLUSH:
            self.append()
            self._answer(flushed=frame.seq)
        elif frame.kind == Kind.CLOSE:
            self.closed, self._complete = True, bool(frame.seq)
        else:
            self._try(self._begin if frame.kind == Kind.OPEN else self._add_layout, frame)

    def append(self) -> None:
        """Appends the records taken so far to the file."""
        records, self._records, self._bytes = self._records, [], 0
        self._try(self._encoder.append, records)

    def finish(self) -> None:
        """Writes the rest and the end."""
        self.append()
        digest = self._try(self._encoder.finish, self._complete) if self._began else None
        self._encoder.close()
        if not self._failed:
            self._answer(closed=True, sha256=digest)

    def _begin(self, frame: Frame) -> None:
        opening = json.loads(frame.payload)
        self._interval = float(opening["interval"])
        self._encoder.begin(opening["spec"], opening["info"])
        self._began = True

    def _add_layout(self, frame: Frame) -> None:
        told = json.loads(frame.payload)
        self._encoder.add_layout(frame.channel, told["node"], told["layout"])

    def _try(self, action: Any, *arguments: Any) -> Any:
        """What an action on the file gives; None if it or an earlier one failed."""
        if self._failed:
            return None
        try:
            return action(*arguments)
        except Exception as error:
            self._failed = True
            reason = error.strerror if isinstance(error, OSError) and error.strerror else repr(error)
            self._answer(failed=reason, count=self._encoder.count)
            return None

    def _answer(self, **told: Any) -> None:
        with suppress(OSError):  # nobody may be left to hear it
            ipc.write(self._answers, json.dumps(told).encode() + b"\n")


def serve(requests: int, answers: int, file: int) -> None:
    """Writes what comes through a pipe into a file, until it is closed or whoever wrote to the pipe is gone.

    Args:
        requests: the pipe to read frames from.
        answers: the pipe for answers.
        file: an open file, empty; it is closed.
    """
    stream = ipc.Stream(requests)
    service = Service(answers, file)
    while not (service.closed or stream.ended):
        for frame in stream.read(service.seconds):
            service.take(frame)
        if service.seconds <= 0:
            service.append()
    service.finish()


def main() -> None:
    """The process. Arguments: where to find rexcli, and the file's handle."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    serve(sys.stdin.fileno(), sys.stdout.fileno(), int(sys.argv[2]))
