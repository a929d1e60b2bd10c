"""Recordings here are written by a thread in place of a process, which takes longer to start than most tests."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from rexcli.runs.recording import process, writer


class WriterThread:
    """Does what a `WriterProcess` does."""

    def __init__(self, file: int):
        requests, self.requests = os.pipe()
        self.answers, answers = os.pipe()
        self._thread = threading.Thread(target=self._serve, args=(requests, answers, os.dup(file)), daemon=True)
        self._thread.start()

    def wait(self) -> str:
        self._thread.join()
        return "ended"

    def close(self) -> None:
        os.close(self.requests)
        os.close(self.answers)

    def _serve(self, requests: int, answers: int, file: int) -> None:
        try:
            process.serve(requests, answers, file)
        finally:
            os.close(requests)
            os.close(answers)


@pytest.fixture(autouse=True, scope="module")
def in_this_process(request: pytest.FixtureRequest) -> Iterator[None]:
    """But for modules that say `IN_ITS_OWN_PROCESS = True`."""
    with pytest.MonkeyPatch.context() as patch:
        if not getattr(request.module, "IN_ITS_OWN_PROCESS", False):
            patch.setattr(writer, "WriterProcess", WriterThread)
        yield
