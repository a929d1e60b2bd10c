"""What a process holds of its machine: memory, threads, open files, processes that it started. Linux alone tells."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

MB = 2**20


@dataclass(frozen=True)
class ProcessUsage:
    """What this process holds.

    Attributes:
        memory: bytes, see `memory`.
        threads: of Python and of libraries.
        files: open, pipes among them.
        processes: started by it and not gone, those that ended and were not waited for among them.
    """

    memory: int
    threads: int
    files: int
    processes: int


def process_usage() -> ProcessUsage:
    """What this process holds now."""
    threads, files = (len(os.listdir(f"/proc/self/{kind}")) for kind in ("task", "fd"))
    return ProcessUsage(memory(os.getpid()), threads, files - 1, len(children(os.getpid())))


def memory(process: int) -> int:
    """Bytes of memory that a process has of its own.

    Pages of files are left out, as libraries are: how many are there depends on what else runs on the machine.
    """
    lines = Path(f"/proc/{process}/status").read_text().splitlines()  # `smaps` would stop the process for a moment
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) * 1024


def children(process: int) -> list[int]:
    """Numbers of the processes that a process started."""
    tasks = Path(f"/proc/{process}/task")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]


def names_of_threads() -> list[str]:
    """Of Python's threads, to say who stayed."""
    return sorted(thread.name for thread in threading.enumerate())
