"""Ctrl-C and SIGTERM while a robot runs: noted, so that it stops in order, and not in the middle of something."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rexcli.errors import Terminated


class StopRequest:
    """What asked for the end: `error` is what to raise once all has stopped, None while nothing has."""

    def __init__(self) -> None:
        self.error: KeyboardInterrupt | None = None

    def note(self, number: int, frame: FrameType | None = None) -> None:
        if self.error is None:
            self.error = KeyboardInterrupt() if number == signal.SIGINT else Terminated()


@contextmanager
def noted() -> Iterator[StopRequest]:
    """SIGINT, SIGTERM and SIGHUP go to a `StopRequest` as long as the block runs; what is ignored stays ignored.

    Outside the main thread, which alone gets signals, nothing is changed.
    """
    request = StopRequest()
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, request.note)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
