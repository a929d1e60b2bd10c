"""Tells what this machine offers to the process, and spares its time."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

GARBAGE = 100_000
"""Number of new objects after which Python collects cyclic garbage, where that takes too long. With its default of 700,
a short command spends a quarter of its time looking through modules that it has just imported, and tracing a tenth."""


def cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """Lets Python collect cyclic garbage after `GARBAGE` new objects at the earliest, while the block runs."""
    first, *others = gc.get_threshold()
    gc.set_threshold(max(first, GARBAGE) if first else 0, *others)
    try:
        yield
    finally:
        gc.set_threshold(first, *others)
