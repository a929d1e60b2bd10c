"""Second stage: finds the distinct kinds of dependencies between ticks of successive cuts.

However long a timeline is, few different things happen between two of its cuts. The search for a template only uses
these:

- a *change* consists of the ticks that may run by a cut and not by the one before, and what they wait for;
- a *pattern* is a kind of partition: the ticks between two cuts, if they run neither earlier nor later.
"""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rexcli.compiler.cut import Counts, Cuts

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Change:
    """The difference between a cut and the one before it: what it allows and requires in addition.

    Attributes:
        fresh: by node, its fresh ticks: those that may run by this cut and not by the one before. Each has pairs of a
            node for which it waits longer than the tick before it does, and of how many ticks of that node that may run
            by this cut it does not need.
        more: number of fresh ticks, by node.
        spare: by node, how many of the ticks that may run by this cut are not required by it.
        far: a tick that does not need this many of the ticks of a node that may run never waits for that node.
    """

    fresh: tuple[tuple[tuple[tuple[int, int], ...], ...], ...]
    more: tuple[int, ...]
    spare: tuple[int, ...]
    far: int


@dataclass(frozen=True)
class Patterns:
    """The distinct kinds of partitions, which the template search uses.

    Attributes:
        nodes: all nodes but the supervisor.
        count: ticks of each node, `[patterns, nodes]`.
        needs: for node n, pairs (source node, how many of its ticks in the partition tick j of n needs,
            `[patterns, max count of n + 1]`; the last column is padding).
        weight: number of partitions of each kind, `[patterns]`.
    """

    nodes: tuple[str, ...]
    count: Ints
    needs: tuple[tuple[tuple[int, Ints], ...], ...]
    weight: Ints


@dataclass(frozen=True)
class Dependencies:
    """The dependencies between the ticks of a timeline.

    Attributes:
        cuts: the cuts of the timeline.
        fewest: the least number of slots that any template needs, by node, `[nodes]`, see `fewest_slots`.
        changes: the different changes from one cut to the next.
        sequences: by episode, the change that follows each cut, as indices of `changes`.
    """

    cuts: Cuts
    fewest: Counts
    changes: list[Change]
    sequences: list[array[int]]


def find_dependencies(cuts: Cuts) -> Dependencies:
    """Returns what the ticks of a timeline with these cuts wait for."""
    return Dependencies(cuts, fewest_slots(cuts), *_find_changes(cuts))


def fewest_slots(cuts: Cuts) -> Counts:
    """Returns how many slots any template needs, `[nodes]`: as many as each node would need if it depended on nothing.

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


def spread_out(cuts: Cuts, most: Counts) -> Counts:
    """Returns how many ticks have run at each cut, `[nodes, episodes, cuts]`, closed, with bursts spread over rows.

    Each node runs at most `most` ticks per row, `[nodes]`, which is the least number that meets the requirements, see
    `fewest_slots`; it runs more only where the dependencies of other nodes require it.
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


def find_patterns(cuts: Cuts, done: Counts) -> Patterns:
    """Returns the distinct kinds of partitions, each consisting of the ticks between two successive cuts.

    Args:
        cuts: the cuts of a timeline.
        done: number of ticks that have run at each cut, `[nodes, episodes, cuts]`, closed under dependency; the first
            partition ends at cut 1.
    """
    valid = np.arange(1, done.shape[2]) < cuts.length[:, None]
    episode = np.nonzero(valid)[0]
    before, after = done[:, :, :-1][:, valid], done[:, :, 1:][:, valid]
    count = (after - before).T
    columns = [count.astype(np.int32)]
    inputs: list[tuple[int, int, int]] = []  # target, source, width
    for target, sources in enumerate(cuts.needs):
        width = int(count[:, target].max(initial=0))
        tick = before[target][:, None] + np.arange(width)
        inside = np.arange(width) < count[:, [target]]
        for source, needs in sources:
            need = needs[episode[:, None], np.minimum(tick, needs.shape[1] - 1)] - before[source][:, None]
            columns.append(np.where(inside, np.maximum(need, 0), 0).astype(np.int32))
            inputs.append((target, source, width))
    features = np.concatenate(columns, axis=1)
    first, kind = _unique_rows(features)
    weight = np.bincount(kind, minlength=len(first))
    needs_of: list[list[tuple[int, Ints]]] = [[] for _ in cuts.nodes]
    column = len(cuts.nodes)
    for target, source, width in inputs:
        need = features[first, column : column + width]
        if need.any():
            needs_of[target].append((source, np.pad(need, ((0, 0), (0, 1)))))
        column += width
    return Patterns(cuts.nodes, count[first], tuple(map(tuple, needs_of)), weight)


def _find_changes(cuts: Cuts) -> tuple[list[Change], list[array[int]]]:
    """Returns the distinct changes between the cuts of all episodes, and the changes of each episode in order, as
    indices.
    """
    valid = np.arange(1, cuts.started.shape[2]) < cuts.length[:, None]
    rows = np.flatnonzero(valid.ravel())
    spare = cuts.started - cuts.required
    more = np.diff(cuts.started, axis=2)
    far = int(spare.max(initial=0)) + int(more.max(initial=0)) + 1
    columns: list[npt.NDArray[np.int32]] = [_rows(more[node], rows) for node in range(len(cuts.nodes))]
    columns += [_rows(spare[node, :, 1:], rows) for node in range(len(cuts.nodes))]
    inputs: list[_Inputs] = []
    for node, sources in enumerate(cuts.needs):
        first_column, places = len(columns), range(int(more[node].max(initial=0)))
        for source, needs in sources:
            columns += [_rows(_spare_of(cuts, node, source, needs, place, far), rows) for place in places]
        inputs.append(_Inputs(slice(first_column, len(columns)), [(each, at) for each, _ in sources for at in places]))
    features = np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0), np.int32)
    first, inverse = _unique_rows(features)
    changes = [_change(row, inputs, far) for row in map(tuple, features[first].tolist())]
    ends = np.cumsum(valid.sum(axis=1))
    return changes, [array("i", part.astype(np.intc).tobytes()) for part in np.split(inverse, ends[:-1])]


def _rows(values: Counts, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.int32]:
    """Returns the values at the given indices of a flattened `[episodes, changes]`, `[rows]`."""
    return values.ravel()[rows].astype(np.int32)


def _spare_of(cuts: Cuts, node: int, source: int, needs: Counts, place: int, far: int) -> Counts:
    """Returns how many of the source's ticks that may run a fresh tick does not need, `[episodes, changes]`.

    It is `far` if the tick before the fresh tick waits for the source as long, or if there is no such fresh tick.
    """
    tick = cuts.started[node, :, :-1] + place
    at = np.clip(tick, 0, needs.shape[1] - 1)
    need = np.take_along_axis(needs, at, axis=1)
    before = np.where(at > 0, np.take_along_axis(needs, np.maximum(at - 1, 0), axis=1), 0)
    unneeded = np.minimum(cuts.started[source, :, 1:] - need, far)
    return np.where((tick < cuts.started[node, :, 1:]) & (need > before), unneeded, far)


class _Inputs:
    """What a node's fresh ticks wait for, from the features of a change.

    Args:
        columns: the features that say how many of a source's ticks are not needed.
        sources: the source, and the place of the fresh tick, of each.
    """

    def __init__(self, columns: slice, sources: list[tuple[int, int]]):
        self._columns, self._sources = columns, sources
        self._known: dict[tuple[int, tuple[int, ...]], tuple[tuple[tuple[int, int], ...], ...]] = {}

    def fresh(self, count: int, row: tuple[int, ...], far: int) -> tuple[tuple[tuple[int, int], ...], ...]:
        """Returns the node's part of `Change.fresh`; few differ, so each is made only once."""
        unneeded = row[self._columns]
        known = self._known.get((count, unneeded))
        if known is None:
            ticks: list[list[tuple[int, int]]] = [[] for _ in range(count)]
            for (source, place), number in zip(self._sources, unneeded, strict=True):
                if number < far:
                    ticks[place].append((source, number))
            known = self._known[count, unneeded] = tuple(map(tuple, ticks))
        return known


def _change(row: tuple[int, ...], inputs: list[_Inputs], far: int) -> Change:
    nodes = len(inputs)
    more, spare = row[:nodes], row[nodes : 2 * nodes]
    fresh = tuple([each.fresh(count, row, far) for each, count in zip(inputs, more, strict=True)])
    return Change(fresh, more, spare, far)


def _unique_rows(features: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Returns the index of the first occurrence of each distinct row of `[rows, columns]`, and which of them each row
    is.
    """
    if not len(features):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    mix = np.random.default_rng(0).integers(2**63, size=(features.shape[1],), dtype=np.uint64) | np.uint64(1)
    digest = np.zeros(len(features), np.uint64)
    for column in range(features.shape[1]):
        digest += features[:, column].astype(np.uint64) * mix[column]
    _, first, inverse = np.unique(digest, return_index=True, return_inverse=True)
    if any((features[:, column] != features[first, column][inverse]).any() for column in range(features.shape[1])):
        _, first, inverse = np.unique(features, axis=0, return_index=True, return_inverse=True)
    return first, inverse.reshape(-1)
