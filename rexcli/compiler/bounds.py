"""How little a row of the program can hold: what its nodes must run, seen one by one."""

from __future__ import annotations

from collections import deque

import numpy as np

from rexcli.compiler.partition import Counts, Cuts


def bound(cuts: Cuts) -> Counts:
    """Slots that any template needs, by node, `[nodes]`: what each would need if it depended on nothing.

    Between cuts q < p, at most `p - q` rows may run what was required by p and had not started by q:
    `required[p] - started[q] <= (p - q) * most`. Tried from the smallest on; a node that runs at all needs one.
    """
    most = np.asarray(cuts.started[:, :, -1].max(axis=1, initial=0) > 0, np.int64)
    low, rows = np.flatnonzero(most), np.arange(cuts.started.shape[2])
    while len(low):
        expected = most[low, None, None] * rows
        slack = np.minimum.accumulate(cuts.started[low] - expected, axis=2)
        low = low[np.any(cuts.required[low] - expected > slack, axis=(1, 2))]
        most[low] += 1
    return most


def spread(cuts: Cuts, most: Counts) -> Counts:
    """Ticks to have run at each cut, `[nodes, episodes, cuts]`, closed, with bursts drawn out where they can be.

    Each node runs no more ticks in a row than it must to keep up with what is required of it, which is `most`,
    `[nodes]`, see `bound`.
    """
    rows = most[:, None, None] * np.arange(cuts.started.shape[2])
    done = rows + np.minimum.accumulate(cuts.started - rows, axis=2)
    changed = deque(range(len(cuts.nodes)))
    while changed:
        target = changed.popleft()
        for source, needs in cuts.needs[target]:
            last = done[target] - 1
            needed = np.take_along_axis(needs, np.clip(last, 0, needs.shape[1] - 1), axis=1)
            needed = np.where(last < 0, 0, needed)
            if (needed > done[source]).any():
                done[source] = np.maximum(done[source], needed)
                if source not in changed:
                    changed.append(source)
    return done
