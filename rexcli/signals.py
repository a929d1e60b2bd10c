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


class StopRequest:
    """The signal that came, if any: `error` is the exception to raise once all has stopped."""

    def __init__(self) -> None:
        self.error: KeyboardInterrupt | None = None

    def note(self, number: int, frame: FrameType | None = None) -> None:
        if self.error is None:
            self.error = KeyboardInterrupt() if number == signal.SIGINT else Terminated()


@contextmanager
def raise_on_signal(*, restore: bool = True) -> Iterator[StopRequest]:
    """SIGINT raises KeyboardInterrupt and SIGTERM and SIGHUP `Terminated` in the main thread as long as the block runs;
    where somebody else handles or ignores them, nothing is changed.

    A signal that comes while Python is in a callback of the garbage collector or a finalizer, of which JAX has many,
    is raised there and goes no further. It is sent again. What was raised in an import may come out as another
    exception: the `StopRequest` that the block is given tells whether a signal came.

    Args:
        restore: whether the handlers of before come back afterwards.
    """
    request = StopRequest()

    def end(number: int, frame: FrameType | None) -> None:
        request.note(number)
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    def send_again(lost: Any) -> None:
        if not isinstance(lost.exc_value, KeyboardInterrupt):
            report(lost)
            return
        number = signal.SIGTERM if isinstance(lost.exc_value, Terminated) else signal.SIGINT
        timer = threading.Timer(AGAIN_AFTER, os.kill, (os.getpid(), number))
        timer.daemon = True
        timer.start()

    before: dict[int, Any] = {}
    report = sys.unraisablehook
    if threading.current_thread() is threading.main_thread():
        sys.unraisablehook = send_again
        for number in _numbers():
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, end)
    try:
        yield request
    finally:
        if restore:
            sys.unraisablehook = report
            for number, handler in before.items():
                signal.signal(number, handler)


def exit_on_signal(code: int) -> None:
    """From now on a signal ends the process at once, with the exit code that it would have had: all work is done."""
    for number in _numbers():
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, frame: os._exit(code))


def _numbers() -> list[int]:
    """Of the signals that ask for the end, as far as the system has them."""
    return [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def deferred() -> Iterator[None]:
    """A signal that comes while the block runs is raised after it: for what must not be left half done."""
    with request_stop_on_signal() as request:
        yield
    if request.error is not None:
        raise request.error


@contextmanager
def request_stop_on_signal() -> Iterator[StopRequest]:
    """SIGINT, SIGTERM and SIGHUP go to a `StopRequest` as long as the block runs; what is ignored stays ignored.

    Outside the main thread, which alone gets signals, nothing is changed.
    """
    request = StopRequest()
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in _numbers():
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, request.note)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
