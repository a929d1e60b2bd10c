"""Finds which tick reads each message: the rules of `blocking`, `skip` and `jitter`."""

from __future__ import annotations

import numpy as np

from rexcli.timeline.timeline import Times


def blocking_readers(required: Times, messages: int, count: Times) -> Times:
    """Returns the first tick that requires message i, `[episodes, messages]`; -1 if the episode ends before it.

    Args:
        required: messages that each tick waits for, `[target ticks]`.
        messages: how many messages to assign.
        count: the target's ticks in each episode, `[episodes]`.
    """
    reader = np.searchsorted(required, np.arange(messages), side="right")
    return np.where(reader < count[:, None], reader, -1)


def first_readers(arrive: Times, start: Times, count: Times, *, strictly: bool) -> Times:
    """Returns the first tick that starts at or after (`strictly`: after) a message's time, `[episodes, messages]`.

    It is -1 where there is none. One binary search serves all episodes, since each row is shifted to its own time
    range.

    Args:
        arrive: ns, `[episodes, messages]`.
        start: the target's starts, ns, `[episodes, ticks]`; entries past `count` are later than all others.
        count: the target's ticks in each episode, `[episodes]`.
        strictly: a message that arrives exactly at the start of a step is read by the next step.
    """
    episodes, ticks = start.shape
    if not ticks or not arrive.size:
        return np.full(arrive.shape, -1, np.int64)
    live = start[np.arange(episodes), np.maximum(count, 1) - 1][count > 0]
    span = (int(live.max()) if len(live) else 0) + 2
    rows = max(1, min(episodes, 2**62 // span))
    reader = np.empty(arrive.shape, np.int64)
    for first in range(0, episodes, rows):
        part = slice(first, first + rows)
        row = np.arange(len(start[part]))[:, None]
        haystack = np.minimum(start[part], span - 1) + row * span
        needles = np.minimum(arrive[part] + strictly, span - 1) + row * span
        reader[part] = np.searchsorted(haystack.ravel(), needles.ravel()).reshape(needles.shape) - row * ticks
    reader[reader >= count[:, None]] = -1
    return reader
