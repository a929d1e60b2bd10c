"""Handles signals that end a command: SIGTERM and SIGHUP act as Ctrl-C does, and while a robot runs all
are deferred.
"""

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
"""Seconds until a signal is sent again that arrived where no exception can be raised."""


_postponed: list[int] | None = None
"""Signals that arrived while they were `postponed`; None if they are not."""


class StopRequest:
    """The signal that arrived, if any: `error` is the exception to raise once everything has stopped."""

    def __init__(self) -> None:
        self.error: KeyboardInterrupt | None = None

    def note(self, number: int, frame: FrameType | None = None) -> None:
        if self.error is None:
            self.error = KeyboardInterrupt() if number == signal.SIGINT else Terminated()


@contextmanager
def raise_on_signal(*, restore: bool = True) -> Iterator[StopRequest]:
    """Lets SIGINT raise KeyboardInterrupt, and SIGTERM and SIGHUP `Terminated`, in the main thread while the block
    runs; signals that are ignored or handled otherwise are not changed.

    The exception of a signal that arrives in a callback of the garbage collector or a finalizer, of which JAX has many,
    is lost there, so the signal is sent again. An exception that is raised in an import may be converted to another
    one: the `StopRequest` of the block says whether a signal arrived.

    Args:
        restore: whether the previous handlers are restored afterwards.
    """
    request = StopRequest()

    def end(number: int, frame: FrameType | None) -> None:
        if _postponed is not None:
            _postponed.append(number)
            return
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


@contextmanager
def postponed() -> Iterator[None]:
    """Lets the signals of `raise_on_signal` raise their exceptions after the block, in which code in C++ calls Python
    and cannot bear any, as the import of JAX does."""
    global _postponed
    arrived: list[int] = []
    _postponed = arrived
    try:
        yield
    finally:
        _postponed = None
        for number in arrived[:1]:
            signal.raise_signal(number)


def exit_on_signal(code: int) -> None:
    """Lets a signal end the process at once from now on, with the exit code that it would have had: all work
    is done.
    """
    for number in _numbers():
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, frame: os._exit(code))


def _numbers() -> list[int]:
    """Returns the numbers of the signals that ask a process to end, as far as the system has them."""
    return [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def deferred() -> Iterator[None]:
    """Raises a signal that arrives in the block after it, for work that must not be left unfinished."""
    with request_stop_on_signal() as request:
        yield
    if request.error is not None:
        raise request.error


@contextmanager
def request_stop_on_signal() -> Iterator[StopRequest]:
    """Passes SIGINT, SIGTERM and SIGHUP to a `StopRequest` while the block runs; ignored signals stay ignored.

    Outside the main thread, which is the only one to get signals, nothing is changed.
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
