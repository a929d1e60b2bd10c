"""Writes a recording in a process of its own, so that writing takes no time from a robot's nodes.

The process ends on request, or when the recorder is gone: a recorder that is killed leaves a whole file, up to its last
moment. Signals that are meant for the recorder but reach all its processes do not stop it.
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
"""Bytes after which records are appended before the interval is over."""
START = "import sys; sys.path.append(sys.argv[1]); from rexcli.runs.recording import process; process.main()"

GIVE_BACK = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), "65536")
"""Bytes from which the C library (glibc) returns freed memory at once. By default it raises this limit with each large
array: 6,000 chunks, some of them bursts, then held 64 MB for good; with these settings none."""


class WriterProcess:
    """The process that writes a recording, as seen by the process that records.

    Args:
        file: an open, empty file that becomes the recording; the process gets its own descriptor of it.

    Attributes:
        requests: the pipe for frames.
        answers: the pipe for answers in lines of JSON, see `Service`.
        pid: the process id.

    Raises:
        RexError: the process cannot be started.
    """

    def __init__(self, file: int):
        # With -P, modules in the current folder are not imported.
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
        """Closes the pipes, which must not be used afterwards."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def wait(self) -> str:
        """Waits until the process has ended; returns how it ended, in words."""
        code = self._process.wait()
        return f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"


class Service:
    """Handles the frames of one recording in the writing process.

    Answers are `{"flushed": number}`, `{"failed": why, "count": records in the file}` (once; later frames are
    discarded) and `{"closed": true, "sha256": of the file}`.
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
        """The time until the next append, s."""
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
        """Writes the remaining records and the end of the file."""
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
        """Runs an action on the file and returns its result; None if this or an earlier action failed."""
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
        with suppress(OSError):  # the recorder may be gone
            ipc.write(self._answers, json.dumps(told).encode() + b"\n")


def serve(requests: int, answers: int, file: int) -> None:
    """Writes the frames from a pipe to a file, until the recording is closed or the recorder is gone.

    Args:
        requests: the pipe to read frames from.
        answers: the pipe for answers.
        file: descriptor of an open, empty file; it is closed at the end.
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
    """Runs the process. Its arguments are the path of rexcli and the file's descriptor."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    serve(sys.stdin.fileno(), sys.stdout.fileno(), int(sys.argv[2]))
