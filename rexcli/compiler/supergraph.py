"""The supergraph: one short sequence of slots into which every partition fits in order of dependency.

A *slot* is a place where a given node may run once. A partition fits a template of slots if each of its ticks
gets a slot of its node, later than the slots of all that it depends on. Going through the template from left to
right and running whatever is ready fits a partition if anything does, because running a tick early never makes
another less ready. So a template is good when that sweep empties every partition, and better when it is shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from rexcli.compiler.partition import Counts, Cuts
from rexcli.errors import RexError

Mode = Literal["mcs", "generational", "topological"]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Patterns:
    """Partitions as the template search sees them, each kind once.

    Attributes:
        nodes: all but the supervisor.
        count: ticks of each node, `[patterns, nodes]`.
        needs: for node n, pairs (source node, how many of its ticks in the partition tick j of n needs,
            `[patterns, max count of n + 1]`; the last column is padding).
        weight: how many partitions look like this, `[patterns]`.
    """

    nodes: tuple[str, ...]
    count: Ints
    needs: tuple[tuple[tuple[int, Ints], ...], ...]
    weight: Ints


Rule = Callable[[Patterns], Iterator[int]]
"""Grows a template, node indices in order, into which all of the patterns fit."""


class Sweep:
    """How far each pattern has got: a pointer per node, and which nodes are ready to run next."""

    def __init__(self, patterns: Patterns):
        self.patterns = patterns
        self.ran = np.zeros_like(patterns.count)
        self._rows = np.arange(len(patterns.count))
        self._consumers: list[list[int]] = [[] for _ in patterns.nodes]
        for node, inputs in enumerate(patterns.needs):
            for source, _ in inputs:
                self._consumers[source].append(node)
        self.ready = np.zeros(patterns.count.shape, bool)
        for node in range(len(patterns.nodes)):
            self._refresh(node)

    def _refresh(self, node: int) -> None:
        ran = self.ran[:, node]
        ready = ran < self.patterns.count[:, node]
        for source, need in self.patterns.needs[node]:
            ready &= self.ran[:, source] >= need[self._rows, ran]
        self.ready[:, node] = ready

    def run(self, node: int) -> Bools:
        """Runs `node` in every pattern in which it is ready; returns in which, `[patterns]`."""
        ran = self.ready[:, node].copy()
        self.ran[:, node] += ran
        for other in {node, *self._consumers[node]}:
            self._refresh(other)
        return ran

    @property
    def left(self) -> Ints:
        """Ticks still to run, `[patterns, nodes]`."""
        return self.patterns.count - self.ran


def find_patterns(cuts: Cuts, done: Counts) -> Patterns:
    """The different kinds of partition, each the ticks between two successive cuts.

    Args:
        cuts: of a timeline.
        done: ticks that have run at each cut, `[nodes, episodes, cuts]`, closed under dependency; the first
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
    first, kind = unique_rows(features)
    weight = np.bincount(kind, minlength=len(first))
    needs_of: list[list[tuple[int, Ints]]] = [[] for _ in cuts.nodes]
    column = len(cuts.nodes)
    for target, source, width in inputs:
        need = features[first, column : column + width]
        if need.any():
            needs_of[target].append((source, np.pad(need, ((0, 0), (0, 1)))))
        column += width
    return Patterns(cuts.nodes, count[first], tuple(map(tuple, needs_of)), weight)


def unique_rows(features: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Where each different row of `[rows, columns]` stands first, and which of these each row is, `[rows]`."""
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


def rules(mode: Mode) -> tuple[Rule, ...]:
    """The ways to grow a template for patterns; which gives the shortest has to be seen.

    Args:
        mode: `mcs` grows towards the minimum common supergraph, slot by slot, by what most patterns miss most;
            `generational` gives each depth of dependency a slot for every node that some partition has there;
            `topological` does so for each position in the partitions' own order.
    """
    if mode not in _MODES:
        raise RexError(f"compile.mode '{mode}': give 'mcs', 'generational' or 'topological'")
    return _MODES[mode]


def fits(patterns: Patterns, template: list[int]) -> bool:
    """Whether one pass through `template` runs every tick of every pattern."""
    sweep = Sweep(patterns)
    for node in template:
        sweep.run(node)
    return not sweep.left.any()


def _generational(patterns: Patterns) -> Iterator[int]:
    sweep = Sweep(patterns)
    while sweep.ready.any():
        generation = sweep.ready.copy()
        for node in np.flatnonzero(generation.any(axis=0)).tolist():
            yield node
            _run_where(sweep, node, generation[:, node])


def _topological(patterns: Patterns) -> Iterator[int]:
    sweep = Sweep(patterns)
    while sweep.ready.any():
        chosen = np.where(sweep.ready.any(axis=1), sweep.ready.argmax(axis=1), -1)
        for node in np.unique(chosen[chosen >= 0]).tolist():
            yield node
            _run_where(sweep, node, chosen == node)


def _run_where(sweep: Sweep, node: int, rows: Bools) -> None:
    """Runs `node` in only some of the patterns in which it is ready."""
    sweep.ready[:, node] &= rows
    sweep.run(node)


def _greedy(rule: Callable[[Sweep], int], patterns: Patterns) -> Iterator[int]:
    """Slot by slot, each for the node that `rule` names."""
    sweep = Sweep(patterns)
    while sweep.ready.any():
        node = rule(sweep)
        sweep.run(node)
        yield node


def _most_served(sweep: Sweep) -> int:
    """The node whose slot is least likely to be needed again: ready wherever most of it is still to run."""
    left = sweep.left
    most = left.max(axis=0)
    fullest = (left == most) & (most > 0)
    served = (sweep.ready & fullest).sum(axis=0) / np.maximum(fullest.sum(axis=0), 1)
    weight = sweep.patterns.weight @ sweep.ready
    share = weight / max(1, int(sweep.patterns.weight.sum()))
    score = np.where(sweep.ready.any(axis=0), served + 1e-3 * share, -1.0)
    return int(score.argmax())


def _most_advanced(sweep: Sweep) -> int:
    """The node that moves on the largest share of the partitions that still have it."""
    left = sweep.patterns.weight @ (sweep.left > 0)
    ready = sweep.patterns.weight @ sweep.ready
    score = np.where(ready > 0, ready / np.maximum(left, 1) + 1e-6 * ready / max(1, int(ready.max())), -1.0)
    return int(score.argmax())


_MODES: dict[str, tuple[Rule, ...]] = {
    "mcs": (partial(_greedy, _most_served), partial(_greedy, _most_advanced)),
    "generational": (_generational,),
    "topological": (_topological,),
}
