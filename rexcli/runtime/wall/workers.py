"""Provides threads that can be abandoned: Python cannot end a step that hangs, so no other thread may have to
join it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any


class WorkerCall:
    """A call that a worker makes; `error` is what it raised, `result` what it returned."""

    def __init__(self, call: Callable[[], Any]):
        self._call = call
        self._done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self._done.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        """Waits at most some seconds; returns whether the job is done."""
        return self._done.wait(seconds)

    def run(self) -> None:
        try:
            self.result = self._call()
        except BaseException as error:
            self.error = error
        finally:
            self._done.set()


class Worker:
    """A thread that does one job after another, so that a node's hardware is always used by the same thread."""

    def __init__(self, name: str):
        self._jobs: queue.SimpleQueue[WorkerCall | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"rex-{name}", daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], Any]) -> WorkerCall:
        job = WorkerCall(call)
        self._jobs.put(job)
        return job

    def close(self, seconds: float = 1.0) -> bool:
        """Ends the thread once its jobs are done; returns whether it ended within some seconds."""
        self._jobs.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
