"""Which row of the program runs which tick, within the freedom that the cuts leave.

A *row* is one pass through the template. Each slot runs the next tick of its node as soon as that tick may run (it
has started on the timeline, or is as far ahead as was allowed) and all that it depends on has run. Running a tick
early never makes another late, so if this does not meet what every supervisor tick requires, no other way
through the same template does.

Ticks are placed one after another in plain Python: which slot runs depends on what ran just before, and a few
integers are compared faster than an array is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import lt

import numpy as np

from rexcli.compiler.bounds import bound
from rexcli.compiler.partition import Counts, Cuts

Slots = list[tuple[int, int]]
"""A template as pairs (bit, node): bit `1 << i` of slot i, which it keeps when others are left out."""


@dataclass(frozen=True)
class Placement:
    """Where each tick runs.

    Attributes:
        tick: per slot of the template, the tick that it runs, -1 for none, `[slots, episodes, rows]`.
        warmup: rows up to and including the one that ends at cut 0; cut p is at the end of row `warmup - 1 + p`.
    """

    tick: Counts
    warmup: int


@dataclass(frozen=True)
class Fit:
    """A template, and which of its slots run in each row.

    Attributes:
        template: node of each slot.
        bits: of each slot, in the rows.
        warmup: by episode, the rows up to cut 0, and
        rows: by episode, those after; a row is the bits of the slots that run.
        cuts: of the longest episode.
    """

    template: list[int]
    bits: list[int]
    warmup: list[list[int]]
    rows: list[list[int]]
    cuts: int

    def placement(self) -> Placement:
        """Which tick each slot runs. Idle rows precede a warm-up that is shorter than another's, and end an episode."""
        warmup = max(map(len, self.warmup))
        width = max(self.bits, default=1).bit_length() // 8 + 1
        packed = np.zeros((len(self.rows), warmup + self.cuts, width), np.uint8)
        for episode, (first, rest) in enumerate(zip(self.warmup, self.rows, strict=True)):
            raw = b"".join(row.to_bytes(width, "little") for row in first + rest)
            begin = warmup - len(first)
            packed[episode, begin : begin + len(first) + len(rest)] = np.frombuffer(raw, np.uint8).reshape(-1, width)
        places = np.array([bit.bit_length() - 1 for bit in self.bits], np.int64)
        ran = np.unpackbits(packed, axis=2, bitorder="little")[:, :, places].astype(bool)
        tick = np.full(ran.shape, -1, np.int64)
        nodes = np.array(self.template, np.int64)
        for node in set(self.template):
            own = ran[:, :, nodes == node]  # in order of execution
            count = np.cumsum(own.reshape(len(own), -1), axis=1).reshape(own.shape)
            tick[:, :, nodes == node] = np.where(own, count - 1, -1)
        return Placement(np.ascontiguousarray(np.moveaxis(tick, 2, 0)), warmup)


class Scheduler:
    """Fits templates to the cuts of a timeline.

    Attributes:
        fewest: slots that any template needs, by node, see `bound`.
    """

    def __init__(self, cuts: Cuts):
        self.fewest = bound(cuts)
        self._cuts = cuts.started.shape[2]
        self._episodes = [_Episode(cuts, episode) for episode in range(len(cuts.length))]

    def place(self, template: list[int]) -> Fit | None:
        """Runs through `template` row by row; None if some supervisor tick would come before what it requires."""
        slots = [(1 << i, node) for i, node in enumerate(template)]
        if all(episode.run(slots) for episode in self._episodes):
            return self._fit(slots)
        return None

    def shorten(self, template: list[int]) -> Fit | None:
        """Leaves out the slots, least used first, that no supervisor tick misses; None if `template` does not fit."""
        slots = [(1 << i, node) for i, node in enumerate(template)]
        if not all(episode.run(slots) for episode in self._episodes):
            return None
        spare = (np.bincount(template, minlength=len(self.fewest)) - self.fewest).tolist()
        used = {pair: sum(episode.used(pair[0]) for episode in self._episodes) for pair in slots if spare[pair[1]]}
        order = sorted(used, key=used.__getitem__)
        begin, size = 0, 1
        while begin < len(order):  # several at once as long as that goes well; the outcome is that of one by one
            batch, end = _batch(order, begin, size, spare)
            fewer = [pair for pair in slots if pair not in batch]
            if not batch:
                begin = end
            elif self._without(sum(bit for bit, _ in batch), fewer):
                slots, begin, size = fewer, end, 2 * size
                for _, node in batch:
                    spare[node] -= 1
            elif len(batch) == 1:
                begin, size = end, 1
            else:
                size = len(batch) // 2
        return self._fit(slots)

    def _without(self, bits: int, slots: Slots) -> bool:
        """Whether no tick comes too late if only `slots` are left, all but those of `bits`; if so, leaves these out."""
        changes = []
        for episode in self._episodes:
            change = episode.without(bits, slots)
            if change is None:
                return False
            changes.append(change)
        for episode, change in zip(self._episodes, changes, strict=True):
            episode.apply(change)
        return True

    def _fit(self, slots: Slots) -> Fit | None:
        """What the episodes have come to; None if the warm-up of one never ends."""
        warmup, rows = [], []
        for episode in self._episodes:
            begun = episode.begun(slots)
            if begun is None:
                return None
            warmup.append(begun[0])
            rows.append(begun[1])
        return Fit([node for _, node in slots], [bit for bit, _ in slots], warmup, rows, self._cuts)


def _batch(order: Slots, begin: int, size: int, spare: list[int]) -> tuple[set[tuple[int, int]], int]:
    """Up to `size` slots from `order[begin]` on that their nodes can spare together, and where the next begins."""
    batch: set[tuple[int, int]] = set()
    left = spare.copy()
    for place in range(begin, len(order)):
        node = order[place][1]
        if len(batch) == size or (spare[node] and not left[node]):
            return batch, place
        if left[node]:
            batch.add(order[place])
            left[node] -= 1
    return batch, len(order)


_Change = dict[int, tuple[int, list[int]]]
"""What is different without some slots: by row, the slots that run and the ticks of each node that are then done."""


class _Episode:
    """The rows of one episode; row p ends at cut p.

    Attributes:
        limit, required: ticks of each node that may, and that must have run, at each cut, `[cuts][nodes]`; cuts past
            the episode's end left out.
        waits: `waits[node][tick]` are pairs (source, how many of its ticks must have run), those left out that the
            tick before waited for.
        ran: which slots ran in each row, as bits; 0 in row 0.
        done: ticks of each node that had run at each cut, `[cuts][nodes]`; at cut 0, all that may have.
    """

    def __init__(self, cuts: Cuts, episode: int):
        length = int(cuts.length[episode])
        self.limit: list[list[int]] = cuts.started[:, episode, :length].T.tolist()
        self.required: list[list[int]] = cuts.required[:, episode, :length].T.tolist()
        self.waits: list[list[list[tuple[int, int]]]] = []
        for ticks, inputs in zip(self.limit[-1], cuts.needs, strict=True):
            waits: list[list[tuple[int, int]]] = [[] for _ in range(ticks)]
            for source, needs in inputs:
                need = needs[episode, :ticks]
                fresh = np.flatnonzero(np.diff(need, prepend=0))
                for tick, count in zip(fresh.tolist(), need[fresh].tolist(), strict=True):
                    waits[tick].append((source, count))
            self.waits.append(waits)
        self.ran: list[int] = []
        self.done: list[list[int]] = []

    def run(self, slots: Slots) -> bool:
        """Places all ticks after cut 0; False if that cannot be."""
        done = self.limit[0].copy()
        self.ran, self.done = [0], [done.copy()]
        for p in range(1, len(self.limit)):
            self.ran.append(self._row(slots, p, done))
            self.done.append(done.copy())
            if any(map(lt, done, self.required[p])):
                return False
        return True

    def used(self, bit: int) -> int:
        """In how many rows a slot runs."""
        return sum(1 for ran in self.ran if ran & bit)

    def without(self, bits: int, slots: Slots) -> _Change | None:
        """What changes if only `slots` are left, all but those of `bits`; None if some tick then comes too late.

        Rows are run again from each that used one of the others to the first that ends as it did before.
        """
        change: _Change = {}
        resume = 1
        for first in [p for p, ran in enumerate(self.ran) if ran & bits]:
            if first < resume:
                continue
            done = self.done[first - 1].copy()
            for p in range(first, len(self.ran)):
                ran = self._row(slots, p, done)
                if any(map(lt, done, self.required[p])):
                    return None
                change[p] = (ran, done.copy())
                resume = p + 1
                if done == self.done[p]:
                    break
        return change

    def apply(self, change: _Change) -> None:
        for p, (ran, done) in change.items():
            self.ran[p], self.done[p] = ran, done

    def begun(self, slots: Slots) -> tuple[list[int], list[int]] | None:
        """The shortest warm-up, and the rows after it; None if steps wait for each other."""
        done, warmup = [0] * len(self.waits), list[int]()
        while True:
            warmup.append(self._row(slots, 0, done))
            if not any(map(lt, done, self.required[0])):
                rows = self._after(slots, done.copy())
                if rows is not None:
                    return warmup, rows
            if not warmup[-1]:
                return None

    def _after(self, slots: Slots, done: list[int]) -> list[int] | None:
        """The rows after a warm-up that ends with `done`; None if some tick then comes too late."""
        rows = self.ran[1:]
        for p in range(1, len(self.ran)):
            if done == self.done[p - 1]:
                break
            rows[p - 1] = self._row(slots, p, done)
            if any(map(lt, done, self.required[p])):
                return None
        return rows

    def _row(self, slots: Slots, cut: int, done: list[int]) -> int:
        """Runs one row, counting up `done` in place; returns which slots ran."""
        limit, waits, ran = self.limit[cut], self.waits, 0
        for bit, node in slots:
            tick = done[node]
            if tick < limit[node]:
                for source, count in waits[node][tick]:
                    if done[source] < count:
                        break
                else:
                    done[node] = tick + 1
                    ran |= bit
        return ran
