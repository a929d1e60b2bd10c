"""A run's `log.txt`: what the loggers under `rex` say at INFO and above, and Python's warnings."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = "rex"
"""The logger that all loggers of this package and of node code descend from."""


class _Handler(logging.FileHandler):
    """Appends record by record. A full disk costs the log, not the run."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass

    def close(self) -> None:
        with suppress(OSError):  # what is left to be written finds no space either
            super().close()


@contextmanager
def log_to(path: Path) -> Iterator[logging.Handler]:
    """Appends to `path` for as long as the block runs. What other handlers get stays as it is."""
    logger = logging.getLogger(ROOT)
    handler = _open(path)
    handler.setLevel(logging.INFO)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    level, show = logger.level, warnings.showwarning

    def show_and_log(message: Any, category: Any, filename: str, lineno: int, *rest: Any, **options: Any) -> None:
        text = warnings.formatwarning(message, category, filename, lineno).strip()
        handler.handle(record("warnings", logging.WARNING, text))
        show(message, category, filename, lineno, *rest, **options)

    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    warnings.showwarning = show_and_log
    try:
        yield handler
    finally:
        if warnings.showwarning is show_and_log:
            warnings.showwarning = show
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()


def _open(path: Path) -> logging.Handler:
    try:
        return _Handler(path, encoding="utf-8")
    except OSError:
        return logging.NullHandler()


def record(name: str, level: int, text: str, exc_info: Any = None) -> logging.LogRecord:
    """A log record that goes straight to one handler."""
    return logging.LogRecord(name, level, "", 0, text, None, exc_info)
