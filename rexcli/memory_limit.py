"""Refuses work that would not fit into memory before it is started."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

from rexcli.errors import RexError

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def available() -> int:
    """Returns the bytes that this process may still use: of the machine's memory, its container's, and its
    own limit.
    """
    limits = [2**62]
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        limits.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]))
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        limits.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        with suppress(OSError, ValueError):
            soft -= int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limits.append(soft)
    return max(0, min(limits))


def shown(size: float) -> str:
    """Formats a number of bytes for the user: `2.3 GiB`."""
    unit = 0
    while size >= 1024 and unit < len(UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.3g} {UNITS[unit]}"


def check(size: float, what: str, fix: str) -> None:
    """Raises an error for work that would need more memory than is free.

    Args:
        size: approximate number of bytes.
        what: name of the work, in the plural.
        fix: what to give instead.

    Raises:
        RexError: names both sizes.
    """
    there = available()
    if size > there:
        raise RexError(f"{what} take about {shown(size)} of memory, and {shown(there)} are free; {fix}")
