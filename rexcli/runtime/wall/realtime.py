"""Provides real-time threads: precise waiting, scheduling priority and interpreter settings; times are in ns."""

from __future__ import annotations

import _thread
import ctypes
import gc
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PR_SET_TIMERSLACK = 29
SWITCH = 1e-4
"""Seconds after which a busy thread passes Python's interpreter lock to another that requests it."""

GARBAGE = 700
"""Number of new objects after which the garbage collector runs."""

now = time.monotonic_ns


class WakeEvent:
    """Wakes one waiting thread; if none waits, the next call of `wait` returns at once."""

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._lock.acquire()

    def set(self) -> None:
        with suppress(RuntimeError):
            self._lock.release()

    def wait(self, seconds: float = -1.0) -> bool:
        """Waits for the event and returns whether it came within some seconds; without a limit if they are below 0."""
        return self._lock.acquire(True, seconds)

    def wait_until(self, due: int, spin: int) -> bool:
        """Waits for a time of `now`, the last `spin` ns of it busily; returns whether the event came before."""
        ahead = due - now() - spin
        if ahead > 0 and self._lock.acquire(True, ahead / 1e9):
            return True
        while now() < due:
            time.sleep(0)
        return False


@contextmanager
def short_switch_interval() -> Iterator[None]:
    """Sets, while the block runs, a shorter switch interval of the interpreter lock, and a garbage collector that
    ignores older objects and runs often on new ones, so that it never takes long."""
    before, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(SWITCH)
    gc.set_threshold(GARBAGE, *threshold[1:])
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*threshold)
        sys.setswitchinterval(before)


def set_realtime(priority: int = 0) -> None:
    """Asks the kernel to wake this thread exactly on time (Linux; elsewhere nothing happens).

    Args:
        priority: see `set_priority`.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
        if priority:
            set_priority(0, priority)


def reset_realtime(priority: int) -> None:
    """Reverts the priority that `set_realtime` gave to this thread."""
    if priority and sys.platform == "linux":
        set_priority(0, 0)


def set_priority(thread: int, priority: int) -> bool:
    """Gives a thread to the real-time scheduler with a priority of 1 to 99, or with 0 to the ordinary one.

    Threads and processes that it starts have the ordinary one.

    Args:
        thread: its native id, 0 for this one.

    Returns:
        Whether this user has the right to.
    """
    # Without further rights, the flag for children cannot be cleared once it is set, so it is always kept.
    policy = (os.SCHED_RR if priority else os.SCHED_OTHER) | os.SCHED_RESET_ON_FORK
    try:
        os.sched_setscheduler(thread, policy, os.sched_param(priority))
    except (OSError, ValueError):
        return False
    return True


def why_no_priority(priority: int) -> str | None:
    """Returns a message to a user who has no right to a real-time priority; None if there is no problem, or none is
    asked for.

    Args:
        priority: see `set_priority`.
    """
    if not priority or sys.platform != "linux":
        return None
    granted: list[bool] = []
    trial = threading.Thread(target=lambda: granted.append(set_priority(0, priority + 1)))
    trial.start()
    trial.join()
    if granted == [True]:
        return None
    return (
        f"wall.priority={priority}: this user may have no real-time priority here, so steps start late, by several "
        "milliseconds, when the machine has other things to do; run as root, or let `ulimit -r` be "
        f"{priority + 1} or more (rtprio in /etc/security/limits.conf, or CAP_SYS_NICE), or give wall.priority=0"
    )


@contextmanager
def process_priority(priority: int) -> Iterator[bool]:
    """Gives, while the block runs, this thread a priority right above `priority`, and the process's others one right
    below.

    No thread may keep the ordinary scheduler: if it holds the interpreter lock, or computes a part of an XLA program,
    and has to wait, all others wait for it.

    Yields:
        Whether this user has the right to real-time priorities.
    """
    changed = []
    if priority and sys.platform == "linux" and os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_OTHER:
        this = threading.get_native_id()
        others = [thread for thread in map(int, os.listdir("/proc/self/task")) if thread != this]
        wanted = [(this, priority + 1), *((other, max(1, priority - 1)) for other in others)]
        changed = [thread for thread, level in wanted if set_priority(thread, level)]
    try:
        yield bool(changed)
    finally:
        for thread in changed:
            set_priority(thread, 0)
