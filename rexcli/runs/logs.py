"""Writes a run's `log.txt`: what the loggers under `rex` say at INFO and above, and Python's warnings."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

ROOT = "rex"
"""The ancestor of all loggers of this package and of node code."""


class _Handler(logging.FileHandler):
    """A handler that appends each record to the file. A full disk costs the log, not the run."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass

    def close(self) -> None:
        with suppress(OSError):  # there is no space for the rest either
            super().close()


_OWN: ContextVar[logging.Handler | None] = ContextVar("own log", default=None)
"""The log of the run that executes in this context; None if that is unknown."""


class _Logs:
    """All open logs. The first redirects the logger and Python's warnings to them, the last restores both."""

    def __init__(self) -> None:
        self._logger = logging.getLogger(ROOT)
        self._open: list[logging.Handler] = []

    def add(self, handler: logging.Handler) -> None:
        if not self._open:
            self._level, self._show = self._logger.level, warnings.showwarning
            warnings.showwarning = self._warn
            if self._logger.getEffectiveLevel() > logging.INFO:
                self._logger.setLevel(logging.INFO)
        self._open.append(handler)
        self._logger.addHandler(handler)

    def remove(self, handler: logging.Handler) -> None:
        self._logger.removeHandler(handler)
        self._open.remove(handler)
        if not self._open:
            self._logger.setLevel(self._level)
            if warnings.showwarning == self._warn:
                warnings.showwarning = self._show

    def _warn(self, message: Any, category: Any, filename: str, lineno: int, *rest: Any, **options: Any) -> None:
        text = warnings.formatwarning(message, category, filename, lineno).strip()
        for handler in self._open:
            handler.handle(record("warnings", logging.WARNING, text))
        self._show(message, category, filename, lineno, *rest, **options)


_LOGS = _Logs()


@contextmanager
def log_to(path: Path) -> Iterator[logging.Handler]:
    """Logs to `path` for as long as the block runs; other handlers stay as they are.

    Several logs may be open, each in its own context (`contextvars`): a record goes to the log of its context alone.
    """
    handler, before = _open(path), _OWN.get()
    handler.setLevel(logging.INFO)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(lambda _: _OWN.get() in (None, handler))
    _LOGS.add(handler)
    _OWN.set(handler)
    try:
        yield handler
    finally:
        _OWN.set(before)
        _LOGS.remove(handler)
        handler.close()


def _open(path: Path) -> logging.Handler:
    try:
        return _Handler(path, encoding="utf-8")
    except OSError:
        return logging.NullHandler()


def record(name: str, level: int, text: str, exc_info: Any = None) -> logging.LogRecord:
    """Makes a log record that goes straight to one handler."""
    return logging.LogRecord(name, level, "", 0, text, None, exc_info)
