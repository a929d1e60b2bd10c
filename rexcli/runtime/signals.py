"""Signals that end a command: SIGTERM and SIGHUP do as Ctrl-C does, and while a robot runs all of them wait."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rexcli.errors import Terminated

AGAIN_AFTER = 0.02
"""Seconds until a signal is sent again that came where nothing can be raised."""


@contextmanager
def raised() -> Iterator[None]:
    """SIGTERM and SIGHUP raise `Terminated` in the main thread as long as the block runs, as SIGINT raises
    KeyboardInterrupt; where somebody else handles or ignores them, nothing is changed.

    A signal that comes while Python is in a callback of the garbage collector or a finalizer, of which JAX has many,
    is raised there and goes no further. It is sent again.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated

    def send_again(lost: Any) -> None:
        if not isinstance(lost.exc_value, KeyboardInterrupt):
            report(lost)
            return
        number = signal.SIGTERM if isinstance(lost.exc_value, Terminated) else signal.SIGINT
        timer = threading.Timer(AGAIN_AFTER, os.kill, (os.getpid(), number))
        timer.daemon = True
        timer.start()

    before: list[int] = []
    report = sys.unraisablehook
    if threading.current_thread() is threading.main_thread():
        sys.unraisablehook = send_again
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, end)
                before.append(number)
    try:
        yield
    finally:
        sys.unraisablehook = report
        for number in before:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def deferred() -> Iterator[None]:
    """A signal that comes while the block runs is raised after it: for what must not be left half done."""
    with noted() as request:
        yield
    if request.error is not None:
        raise request.error


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
