"""Checks whether a template fits a timeline, and finds which of its slots run in each row between the cuts' bounds.

A *row* is one pass through the template. Each slot runs the next tick of its node as soon as that tick may run (it has
started on the timeline, or is as far ahead as allowed) and everything that it depends on has run. Running a tick early
never makes another late, so if this does not run what every supervisor tick requires in time, no other assignment to
the same template does.

What a row runs depends only on the ticks that may have run before and have not, and on what has become possible and
required since the previous row. There are few distinct changes of this kind, see `dependencies`, and few distinct
states between rows, however long a timeline is. So a template is a finite automaton: each of its transitions is
computed once, tick by tick, and a row is then a table lookup.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable
from dataclasses import dataclass
from operator import gt, lt
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from rexcli.compiler.cut import Cuts
from rexcli.compiler.dependencies import Change, Dependencies

Slots = list[tuple[int, int]]
"""A template as pairs (bit, node): bit `1 << i` of slot i, which stays the same when other slots are left out."""


Item = TypeVar("Item", bound=Hashable)
State = tuple[tuple[tuple[tuple[int, int], ...], ...], ...]
"""The ticks that may run and have not, by node, in order: for each such tick, the nodes that it waits for, and how many
of their ticks that may run it does not need."""


@dataclass(frozen=True)
class Template:
    """A template that fits a timeline, and which of its slots run in each row.

    Attributes:
        slots: the node of each slot.
        bits: the bit of each slot in the rows.
        warmup: by episode, the rows up to cut 0, as the bits of the slots that run.
        rows: by episode, the rows after it, as indices of `used`.
        used: the distinct rows, as bits.
        cuts: number of cuts of the longest episode.
        num_patterns: number of kinds of partitions that it was grown for.
    """

    slots: list[int]
    bits: list[int]
    warmup: list[list[int]]
    rows: list[array[int]]
    used: list[int]
    cuts: int
    num_patterns: int = 0


class TemplateFitter:
    """Fits templates to a timeline."""

    def __init__(self, dependencies: Dependencies):
        cuts = dependencies.cuts
        self._fewest, self._changes = dependencies.fewest, dependencies.changes
        self._cuts = cuts.started.shape[2]
        self._states = _Numbers[State]()
        self._rows = _Numbers[int]()
        self._states.number(((),) * len(cuts.nodes))
        self._rows.number(0)
        self._episodes = [_Episode(cuts, episode, changes) for episode, changes in enumerate(dependencies.sequences)]

    def fit(self, template: list[int]) -> Template | None:
        """Fits `template` row by row; returns None if some supervisor tick would come before what it requires."""
        slots = [(1 << i, node) for i, node in enumerate(template)]
        automaton = self._automaton(slots)
        if all(episode.run(automaton) for episode in self._episodes):
            return self._begun(slots)
        return None

    def shorten(self, template: list[int]) -> Template | None:
        """Removes slots, least used first, without which `template` still fits; returns None if it does not fit."""
        slots = [(1 << i, node) for i, node in enumerate(template)]
        automaton = self._automaton(slots)
        if not all(episode.run(automaton) for episode in self._episodes):
            return None
        spare = (np.bincount(template, minlength=len(self._fewest)) - self._fewest).tolist()
        times = np.zeros(len(self._rows.known), np.int64)
        for episode in self._episodes:
            times += np.bincount(np.frombuffer(episode.ran, np.intc), minlength=len(times))
        rows = list(zip(self._rows.known, times.tolist(), strict=True))
        used = {pair: sum(count for bits, count in rows if bits & pair[0]) for pair in slots if spare[pair[1]]}
        order = sorted(used, key=used.__getitem__)
        begin, size = 0, 1
        while begin < len(order):  # several at once as long as the rest fits; the result is the same as one by one
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
        return self._begun(slots)

    def _automaton(self, slots: Slots) -> _Automaton:
        return _Automaton(slots, self._changes, self._states, self._rows)

    def _without(self, bits: int, slots: Slots) -> bool:
        """Returns whether no tick comes too late with only `slots`, all but those of `bits`; if so, keeps
        the result.
        """
        automaton = self._automaton(slots)
        gone = np.array([bool(row & bits) for row in self._rows.known])
        changes = []
        for episode in self._episodes:
            change = episode.without(gone, automaton)
            if change is None:
                return False
            changes.append(change)
        for episode, change in zip(self._episodes, changes, strict=True):
            episode.ran, episode.states = change
        return True

    def _begun(self, slots: Slots) -> Template | None:
        """Returns the template with the rows found so far; None if the warm-up of some episode never ends."""
        automaton = self._automaton(slots)
        warmup, rows = [], []
        for episode in self._episodes:
            begun = episode.begun(slots, automaton)
            if begun is None:
                return None
            warmup.append(begun[0])
            rows.append(begun[1])
        return Template(
            [node for _, node in slots], [bit for bit, _ in slots], warmup, rows, self._rows.known, self._cuts
        )


def _batch(order: Slots, begin: int, size: int, spare: list[int]) -> tuple[set[tuple[int, int]], int]:
    """Returns up to `size` slots from `order[begin]` on that their nodes can spare, and where the next batch begins."""
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


class _Numbers(Generic[Item]):
    """Gives each distinct item a number, in order of appearance."""

    def __init__(self) -> None:
        self.known: list[Item] = []
        self._number: dict[Item, int] = {}

    def number(self, item: Item) -> int:
        number = self._number.setdefault(item, len(self.known))
        if number == len(self.known):
            self.known.append(item)
        return number


class _Automaton:
    """A template as a table of transitions, which is filled when they first occur.

    Attributes:
        table: by `state * changes + change`, the resulting row and state, as numbers; None if some tick then comes too
            late.
        changes: number of distinct changes.
    """

    def __init__(self, slots: Slots, changes: list[Change], states: _Numbers[State], rows: _Numbers[int]):
        self.table: dict[int, tuple[int, int] | None] = {}
        self.changes = len(changes)
        self._slots, self._changes, self._states, self._rows = slots, changes, states, rows

    def number(self, state: State) -> int:
        """Returns the number of a state in the table."""
        return self._states.number(state)

    def work_out(self, key: int) -> tuple[int, int] | None:
        """Runs the slots once for a transition that has not occurred before."""
        state, number = divmod(key, self.changes)
        change = self._changes[number]
        more, far = change.more, change.far
        left = [
            (
                *(
                    tuple([(source, spare + more[source]) for source, spare in tick if spare + more[source] < far])
                    for tick in ticks
                ),
                *fresh,
            )
            if ticks
            else fresh
            for ticks, fresh in zip(self._states.known[state], change.fresh, strict=True)
        ]
        behind = [len(ticks) for ticks in left]
        first = [0] * len(left)
        ran = 0
        for bit, node in self._slots:
            if behind[node]:
                for source, spare in left[node][first[node]]:  # not by all(…), which takes twice as long
                    if behind[source] > spare:
                        break
                else:
                    first[node] += 1
                    behind[node] -= 1
                    ran |= bit
        result = None
        if not any(map(gt, behind, change.spare)):
            after = tuple(
                [
                    tuple([tuple([wait for wait in tick if behind[wait[0]] > wait[1]]) for tick in ticks[begin:]])
                    for ticks, begin in zip(left, first, strict=True)
                ]
            )  # ticks that have run need not be waited for any more
            result = self._rows.number(ran), self._states.number(after)
        self.table[key] = result
        return result


class _Episode:
    """The rows of one episode; row p ends at cut p.

    Attributes:
        ran: which slots ran in each row, as numbers; no slot ran in row 0.
        states: the state at each cut, as numbers; the empty state at cut 0.
    """

    def __init__(self, cuts: Cuts, episode: int, changes: array[int]):
        self.ran: array[int] = array("i")
        self.states: array[int] = array("i")
        self._cuts, self._number = cuts, episode
        self._changes = changes

    def run(self, automaton: _Automaton) -> bool:
        """Assigns all ticks after cut 0 to rows; returns False if that is impossible."""
        self.ran, self.states = array("i", [0]), array("i", [0])
        return self._go_on(automaton, self.ran, self.states, len(self._changes) + 1)

    def _go_on(self, automaton: _Automaton, ran: array[int], states: array[int], stop: int, old: int = 0) -> bool:
        """Appends rows up to `stop`, or from `old` on up to the first that ends in the same state as before; False if
        impossible.
        """
        table, changes, width = automaton.table, self._changes, automaton.changes
        state = states[-1]
        for p in range(len(states), stop):
            key = state * width + changes[p - 1]
            try:
                hit = table[key]
            except KeyError:
                hit = automaton.work_out(key)
            if hit is None:
                return False
            row, state = hit
            ran.append(row)
            states.append(state)
            if p >= old > 0 and state == self.states[p]:
                break
        return True

    def without(self, gone: npt.NDArray[np.bool_], automaton: _Automaton) -> tuple[array[int], array[int]] | None:
        """Returns all rows and states if the rows in `gone` cannot be used any more; None if some tick then comes too
        late.

        Rows are computed again from each such row to the first that ends in the same state as before.
        """
        ran, states = array("i"), array("i")
        for first in np.flatnonzero(gone[np.frombuffer(self.ran, np.intc)]).tolist():
            if first < len(ran):
                continue
            ran.extend(self.ran[len(ran) : first])
            states.extend(self.states[len(states) : first])
            if not self._go_on(automaton, ran, states, len(self.ran), first):
                return None
        ran.extend(self.ran[len(ran) :])
        states.extend(self.states[len(states) :])
        return ran, states

    def begun(self, slots: Slots, automaton: _Automaton) -> tuple[list[int], array[int]] | None:
        """Returns the shortest warm-up, and the rows after it; None if steps wait for each other."""
        cuts, episode = self._cuts, self._number
        limit, required = cuts.started[:, episode, 0].tolist(), cuts.required[:, episode, 0].tolist()
        waits = [
            [[(source, int(needs[episode, tick])) for source, needs in inputs] for tick in range(ticks)]
            for ticks, inputs in zip(limit, cuts.needs, strict=True)
        ]
        done, warmup = [0] * len(limit), list[int]()
        while True:
            ran = 0
            for bit, node in slots:
                tick = done[node]
                if tick < limit[node] and all(done[source] >= count for source, count in waits[node][tick]):
                    done[node] = tick + 1
                    ran |= bit
            warmup.append(ran)
            if not any(map(lt, done, required)):
                rows = self._after(automaton, done, limit, waits)
                if rows is not None:
                    return warmup, rows
            if not ran:
                return None

    def _after(
        self, automaton: _Automaton, done: list[int], limit: list[int], waits: list[list[list[tuple[int, int]]]]
    ) -> array[int] | None:
        """Returns the rows after a warm-up that ends with `done`; None if some tick then comes too late."""
        left = tuple(
            tuple(
                tuple((source, limit[source] - count) for source, count in waits[node][tick] if count > done[source])
                for tick in range(done[node], limit[node])
            )
            for node in range(len(limit))
        )
        ran, states = array("i", [0]), array("i", [automaton.number(left)])
        if states[0] != self.states[0] and not self._go_on(automaton, ran, states, len(self.ran), 1):
            return None
        return array("i", ran[1:]) + self.ran[len(ran) :]
