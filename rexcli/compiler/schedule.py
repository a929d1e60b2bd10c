"""Which row of the program runs which tick, within the freedom that the cuts leave.

A *row* is one pass through the template. Each slot runs the next tick of its node as soon as that tick has started
on the timeline and all that it depends on has run. Running a tick early never makes another late, so if this
does not meet what every supervisor tick requires, no other way through the same template does.

Ticks are placed one after another in plain Python: which slot runs depends on what ran just before, and a few
integers are compared faster than an array is made.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from operator import lt

import numpy as np
import numpy.typing as npt

from rexcli.compiler.partition import Counts, Cuts

Slots = list[tuple[int, int]]
"""A template as pairs (slot, node); slots keep their number when others are left out."""


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
    rows = np.arange(done.shape[2])
    for node, most in enumerate(bound(cuts)):
        done[node] = most * rows + np.minimum.accumulate(done[node] - most * rows, axis=1)
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


def bound(cuts: Cuts) -> npt.NDArray[np.int64]:
    """Slots that any template needs, by node, `[nodes]`: what each would need if it depended on nothing."""
    return np.array([_fewest_per_row(r, s) for r, s in zip(cuts.required, cuts.started, strict=True)], np.int64)


def _fewest_per_row(required: Counts, started: Counts) -> int:
    """The fewest ticks a row, the same for all rows, that keep a node up with `required`.

    Between cuts q < p, at most `p - q` rows may run what was required by p and had not started by q:
    `required[p] - started[q] <= (p - q) * most`. Tried from the smallest on.
    """
    most, rows = 0, np.arange(required.shape[1])
    while True:
        slack = np.minimum.accumulate(started - most * rows, axis=1)
        if (required - most * rows <= slack).all():
            return most
        most += 1


def place(cuts: Cuts, template: list[int]) -> tuple[list[int], Placement] | None:
    """Runs through `template` row by row; None if some supervisor tick would come before what it requires."""
    slots = list(enumerate(template))
    episodes = [_Episode.of(cuts, episode) for episode in range(len(cuts.length))]
    if all(episode.run(slots) for episode in episodes):
        return template, _placement(cuts, episodes, slots)
    return None


def shorten(cuts: Cuts, template: list[int]) -> tuple[list[int], Placement] | None:
    """`template` without the slots, least used first, that no supervisor tick misses; None if it does not fit."""
    slots = list(enumerate(template))
    episodes = [_Episode.of(cuts, episode) for episode in range(len(cuts.length))]
    if not all(episode.run(slots) for episode in episodes):
        return None
    fewest, left = bound(cuts), np.bincount(template, minlength=len(cuts.nodes))
    used = np.sum([episode.used(len(template)) for episode in episodes], axis=0)
    for slot in np.argsort(used, kind="stable").tolist():
        node = template[slot]
        if left[node] <= fewest[node]:
            continue
        fewer = [pair for pair in slots if pair[0] != slot]
        changes = []
        for episode in episodes:
            change = episode.without(slot, fewer)
            if change is None:
                break
            changes.append(change)
        else:
            slots, left[node] = fewer, left[node] - 1
            for episode, change in zip(episodes, changes, strict=True):
                episode.apply(change)
    return [node for _, node in slots], _placement(cuts, episodes, slots)


@dataclass
class _Change:
    """What is different in an episode without a slot: rows of the warm-up, and of the rest what ran and was done."""

    warmup: list[int]
    rows: dict[int, tuple[int, list[int]]]


@dataclass
class _Episode:
    """The rows of one episode.

    Attributes:
        limit, required: ticks of each node that have started, and that must have run, at each cut,
            `[cuts][nodes]`; cuts past the episode's end left out.
        needs: for each node, pairs (source, how many of its ticks each tick needs).
        warmup: which slots ran in each row up to cut 0, as bits of an integer.
        ran: which slots ran in the row before each cut, likewise; 0 for cut 0.
        done: ticks of each node that had run at each cut, `[cuts][nodes]`.
    """

    limit: list[list[int]]
    required: list[list[int]]
    needs: list[list[tuple[int, list[int]]]]
    warmup: list[int] = field(default_factory=list)
    ran: list[int] = field(default_factory=list)
    done: list[list[int]] = field(default_factory=list)

    @classmethod
    def of(cls, cuts: Cuts, episode: int) -> _Episode:
        length = int(cuts.length[episode])
        return cls(
            limit=cuts.started[:, episode, :length].T.tolist(),
            required=cuts.required[:, episode, :length].T.tolist(),
            needs=[[(source, need[episode].tolist()) for source, need in inputs] for inputs in cuts.needs],
        )

    def run(self, slots: Slots) -> bool:
        """Places all ticks; False if that cannot be."""
        warmup = self._warm_up(slots)
        if warmup is None:
            return False
        self.warmup, self.ran, self.done = warmup, [0], [list(self.limit[0])]
        done = list(self.limit[0])
        for p in range(1, len(self.limit)):
            self.ran.append(self._row(slots, p, done))
            self.done.append(done.copy())
            if self._late(p, done):
                return False
        return True

    def used(self, number: int) -> list[int]:
        """In how many rows after the warm-up each slot runs."""
        return [sum(ran >> slot & 1 for ran in self.ran) for slot in range(number)]

    def without(self, slot: int, slots: Slots) -> _Change | None:
        """What changes if `slot` runs nothing and only `slots` are left; None if some tick then comes too late.

        Rows are run again from each that used the slot to the first that ends as it did before.
        """
        warmup = self._warm_up(slots) if any(ran >> slot & 1 for ran in self.warmup) else self.warmup
        if warmup is None:
            return None
        rows: dict[int, tuple[int, list[int]]] = {}
        resume = 1
        for first in [p for p, ran in enumerate(self.ran) if ran >> slot & 1]:
            if first < resume:
                continue
            done = self.done[first - 1].copy()
            for p in range(first, len(self.ran)):
                ran = self._row(slots, p, done)
                if self._late(p, done):
                    return None
                rows[p] = (ran, done.copy())
                resume = p + 1
                if done == self.done[p]:
                    break
        return _Change(warmup, rows)

    def apply(self, change: _Change) -> None:
        self.warmup = change.warmup
        for p, (ran, done) in change.rows.items():
            self.ran[p], self.done[p] = ran, done

    def _warm_up(self, slots: Slots) -> list[int] | None:
        """Rows until all has run that had started by cut 0, at least one; None if that never happens."""
        done, rows = [0] * len(self.needs), list[int]()
        while not rows or done != self.limit[0]:
            rows.append(self._row(slots, 0, done))
            if not rows[-1] and done != self.limit[0]:
                return None
        return rows

    def _row(self, slots: Slots, cut: int, done: list[int]) -> int:
        """Runs one row, counting up `done` in place; returns which slots ran."""
        limit, needs, ran = self.limit[cut], self.needs, 0
        for slot, node in slots:
            tick = done[node]
            if tick < limit[node]:
                for source, need in needs[node]:
                    if need[tick] > done[source]:
                        break
                else:
                    done[node] = tick + 1
                    ran |= 1 << slot
        return ran

    def _late(self, cut: int, done: list[int]) -> bool:
        return any(map(lt, done, self.required[cut]))


def _placement(cuts: Cuts, episodes: list[_Episode], slots: Slots) -> Placement:
    """Rows as arrays: idle ones before a warm-up that is shorter than another's, and from an episode's end on."""
    warmup = max(len(episode.warmup) for episode in episodes)
    ran = np.zeros((len(slots), len(episodes), warmup + cuts.started.shape[2]), bool)
    for e, episode in enumerate(episodes):
        masks = episode.warmup + episode.ran[1:]
        begin = warmup - len(episode.warmup)
        for i, (slot, _) in enumerate(slots):
            ran[i, e, begin : begin + len(masks)] = [mask >> slot & 1 for mask in masks]
    tick = np.full(ran.shape, -1, np.int64)
    nodes = np.array([node for _, node in slots], np.int64)
    for node in set(nodes.tolist()):
        own = np.moveaxis(ran[nodes == node], 0, 2)  # [episodes, rows, own slots], in order of execution
        count = np.cumsum(own.reshape(len(own), -1), axis=1).reshape(own.shape)
        tick[nodes == node] = np.moveaxis(np.where(own, count - 1, -1), 2, 0)
    return Placement(tick, warmup)
