"""What changes from one cut of a timeline to the next, and how few different changes there are."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rexcli.compiler.partition import Counts, Cuts
from rexcli.compiler.supergraph import unique_rows


@dataclass(frozen=True)
class Change:
    """From a cut to the next.

    Attributes:
        fresh: by node, the ticks that may run now and might not before: of each, the nodes that it waits for beyond
            what the tick before it waits for, and how many of their ticks that may run by now it does not need.
        more: by node, how many fresh ticks it has.
        spare: by node, how many of the ticks that may have run by this cut need not have.
        far: a tick that does not need so many of the ticks that may run waits for none of them, ever.
    """

    fresh: tuple[tuple[tuple[tuple[int, int], ...], ...], ...]
    more: tuple[int, ...]
    spare: tuple[int, ...]
    far: int


def find_changes(cuts: Cuts) -> tuple[list[Change], list[array[int]]]:
    """The different changes between the cuts of all episodes, and those of each episode in order, as places."""
    valid = np.arange(1, cuts.started.shape[2]) < cuts.length[:, None]
    rows = np.flatnonzero(valid.ravel())
    spare = cuts.started - cuts.required
    more = np.diff(cuts.started, axis=2)
    far = int(spare.max(initial=0)) + int(more.max(initial=0)) + 1
    columns: list[npt.NDArray[np.int32]] = [_rows(more[node], rows) for node in range(len(cuts.nodes))]
    columns += [_rows(spare[node, :, 1:], rows) for node in range(len(cuts.nodes))]
    inputs: list[tuple[int, int, int]] = []
    for node, sources in enumerate(cuts.needs):
        width = int(more[node].max(initial=0))
        for source, needs in sources:
            for place in range(width):
                inputs.append((node, source, place))
                columns.append(_rows(_spare_of(cuts, node, source, needs, place, far), rows))
    features = np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0), np.int32)
    first, inverse = unique_rows(features)
    changes = [_change(row, inputs, len(cuts.nodes), far) for row in features[first].tolist()]
    ends = np.cumsum(valid.sum(axis=1))
    return changes, [array("i", part.astype(np.intc).tobytes()) for part in np.split(inverse, ends[:-1])]


def _rows(values: Counts, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.int32]:
    """Of `[episodes, changes]` those that there are, one after another."""
    return values.ravel()[rows].astype(np.int32)


def _spare_of(cuts: Cuts, node: int, source: int, needs: Counts, place: int, far: int) -> Counts:
    """How many of the source's ticks that may run a fresh tick of a node does not need, `[episodes, changes]`.

    `far` where it waits for nothing beyond what the tick before it waits for, or where there is no such tick.
    """
    tick = cuts.started[node, :, :-1] + place
    at = np.clip(tick, 0, needs.shape[1] - 1)
    need = np.take_along_axis(needs, at, axis=1)
    before = np.where(at > 0, np.take_along_axis(needs, np.maximum(at - 1, 0), axis=1), 0)
    unneeded = np.minimum(cuts.started[source, :, 1:] - need, far)
    return np.where((tick < cuts.started[node, :, 1:]) & (need > before), unneeded, far)


def _change(row: list[int], inputs: list[tuple[int, int, int]], nodes: int, far: int) -> Change:
    more, spare = row[:nodes], row[nodes : 2 * nodes]
    fresh: list[list[list[tuple[int, int]]]] = [[[] for _ in range(count)] for count in more]
    for (node, source, place), unneeded in zip(inputs, row[2 * nodes :], strict=True):
        if unneeded < far:
            fresh[node][place].append((source, unneeded))
    return Change(tuple(tuple(map(tuple, ticks)) for ticks in fresh), tuple(more), tuple(spare), far)
