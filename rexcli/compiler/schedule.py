"""Which row of the program runs which tick, within the freedom that the cuts leave.

A *row* is one pass through the template. Each slot runs the next tick of its node as soon as that tick has started
on the timeline and all that it depends on has run. Running a tick early never makes another late, so if this
does not meet what every supervisor tick requires, no other way through the same template does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rexcli.compiler.partition import Counts, Cuts


@dataclass(frozen=True)
class Placement:
    """Where each tick runs.

    Attributes:
        tick: per slot of the template, the tick that it runs, -1 for none, `[slots, episodes, rows]`.
        warmup: rows up to and including the one that ends at cut 0; cut p is at the end of row `warmup - 1 + p`.
    """

    tick: Counts
    warmup: int


def spread(cuts: Cuts) -> Counts:
    """Ticks to have run at each cut, `[nodes, episodes, cuts]`, closed, with bursts drawn out where they can be.

    Each node runs no more ticks in a row than it must to keep up with what is required of it.
    """
    done = cuts.started.copy()
    for node in range(len(cuts.nodes)):
        most = _fewest_per_row(cuts.required[node], cuts.started[node])
        for p in range(1, done.shape[2]):
            limited = np.minimum(cuts.started[node, :, p], done[node, :, p - 1] + most)
            done[node, :, p] = np.maximum(cuts.required[node, :, p], limited)
    grown = True
    while grown:
        grown = False
        for target, sources in enumerate(cuts.needs):
            for source, needs in sources:
                last = done[target] - 1
                needed = np.take_along_axis(needs, np.clip(last, 0, needs.shape[1] - 1), axis=1)
                needed = np.where(last < 0, 0, needed)
                if (needed > done[source]).any():
                    done[source] = np.maximum(done[source], needed)
                    grown = True
    return done


def _fewest_per_row(required: Counts, started: Counts) -> int:
    """The fewest ticks a row, the same for all rows, that keep a node up with `required`.

    Between cuts q < p, at most `p - q` rows may run what was required by p and had not started by q:
    `required[p] - started[q] <= (p - q) * most`. Tried from the smallest on.
    """
    most = 0
    while True:
        ahead = started - most * np.arange(started.shape[1])
        slack = np.minimum.accumulate(ahead, axis=1)
        if (required - most * np.arange(required.shape[1]) <= slack).all():
            return most
        most += 1


def place(cuts: Cuts, template: list[int]) -> Placement | None:
    """Runs through `template` row by row; None if some supervisor tick would come before what it requires."""
    episodes, num = cuts.length.shape[0], cuts.started.shape[2]
    every = np.arange(episodes)
    done = np.zeros((len(cuts.nodes), episodes), np.int64)
    needs = [
        [(source, np.ascontiguousarray(np.pad(need, ((0, 0), (0, 1))).T)) for source, need in inputs]
        for inputs in cuts.needs
    ]

    def run_row(limit: Counts) -> list[Counts]:
        row = []
        for node in template:
            tick = done[node]
            ready = tick < limit[node]
            for source, need in needs[node]:
                ready &= need[np.minimum(tick, len(need) - 1), every] <= done[source]
            row.append(np.where(ready, tick, -1))
            done[node] = tick + ready
        return row

    rows: list[list[Counts]] = []
    while not rows or (done < cuts.started[:, :, 0]).any():
        before = done.copy()
        rows.append(run_row(cuts.started[:, :, 0]))
        if (done == before).all() and (done < cuts.started[:, :, 0]).any():
            return None
    warmup = len(rows)
    for p in range(1, num):
        rows.append(run_row(cuts.started[:, :, p]))
        if (done < cuts.required[:, :, p]).any():
            return None
    rows.append([np.full(episodes, -1, np.int64)] * len(template))
    tick = np.array(rows, dtype=np.int64).reshape(len(rows), len(template), episodes)
    return Placement(np.moveaxis(tick, 0, 2), warmup)


def without_idle(cuts: Cuts, template: list[int], placement: Placement) -> tuple[list[int], Placement]:
    """`template` without the slots, least used first, that no supervisor tick misses."""
    used = (placement.tick[:, :, placement.warmup :] >= 0).sum(axis=(1, 2))
    kept: list[int] = list(range(len(template)))
    for position in np.argsort(used, kind="stable").tolist():
        rest = [other for other in kept if other != position]
        shorter = place(cuts, [template[other] for other in rest])
        if shorter is not None:
            kept, placement = rest, shorter
    return [template[position] for position in kept], placement


def bound(cuts: Cuts) -> npt.NDArray[np.int64]:
    """Slots that any template needs, by node, `[nodes]`: what each would need if it depended on nothing."""
    return np.array([_fewest_per_row(r, s) for r, s in zip(cuts.required, cuts.started, strict=True)], np.int64)
