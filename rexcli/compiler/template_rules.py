"""Grows candidates for a template: short sequences of slots into which every pattern fits.

A *slot* is a place where a given node may run once. A partition fits a template if each of its ticks gets a slot of its
node, later than the slots of all ticks that it depends on. Going through the template from left to right and running
every ready tick fits a partition if any assignment does, because running a tick early never delays another. So a
template fits if this sweep runs all ticks of every partition, and shorter templates are better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from rexcli.compiler.dependencies import Ints, Patterns
from rexcli.errors import RexError

Mode = Literal["mcs", "generational", "topological"]
Bools = npt.NDArray[np.bool_]
Rule = Callable[[Patterns], Iterator[int]]
"""Yields the node indices, in order, of a template into which all patterns fit."""


class Cursors:
    """The progress in each pattern: how many ticks of each node have run, and which nodes are ready to run next."""

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
        """Runs `node` in every pattern in which it is ready; returns in which, bool `[patterns]`."""
        ran = self.ready[:, node].copy()
        self.ran[:, node] += ran
        for other in {node, *self._consumers[node]}:
            self._refresh(other)
        return ran

    @property
    def left(self) -> Ints:
        """The number of ticks still to run, `[patterns, nodes]`."""
        return self.patterns.count - self.ran


def rules(mode: Mode) -> tuple[Rule, ...]:
    """Returns the rules by which to grow a template for patterns; all have to be tried to find the shortest.

    Args:
        mode: `mcs` grows towards the minimum common supergraph, slot by slot, by what most patterns need most;
            `generational` gives each depth of dependency a slot for every node that some partition has there;
            `topological` does so for each position in the partitions' topological order.
    """
    if mode not in _MODES:
        raise RexError(f"compile.mode '{mode}': give 'mcs', 'generational' or 'topological'")
    return _MODES[mode]


def _generational(patterns: Patterns) -> Iterator[int]:
    sweep = Cursors(patterns)
    while sweep.ready.any():
        generation = sweep.ready.copy()
        for node in np.flatnonzero(generation.any(axis=0)).tolist():
            yield node
            _run_where(sweep, node, generation[:, node])


def _topological(patterns: Patterns) -> Iterator[int]:
    sweep = Cursors(patterns)
    while sweep.ready.any():
        chosen = np.where(sweep.ready.any(axis=1), sweep.ready.argmax(axis=1), -1)
        for node in np.unique(chosen[chosen >= 0]).tolist():
            yield node
            _run_where(sweep, node, chosen == node)


def _run_where(sweep: Cursors, node: int, rows: Bools) -> None:
    """Runs `node` in only some of the patterns in which it is ready."""
    sweep.ready[:, node] &= rows
    sweep.run(node)


def _greedy(rule: Callable[[Cursors], int], patterns: Patterns) -> Iterator[int]:
    """Yields slots one by one, each for the node that `rule` chooses."""
    sweep = Cursors(patterns)
    while sweep.ready.any():
        node = rule(sweep)
        sweep.run(node)
        yield node


def _most_served(sweep: Cursors) -> int:
    """Returns the node that is ready in the largest share of the patterns with most of its ticks still to run."""
    left = sweep.left
    most = left.max(axis=0)
    fullest = (left == most) & (most > 0)
    served = (sweep.ready & fullest).sum(axis=0) / np.maximum(fullest.sum(axis=0), 1)
    weight = sweep.patterns.weight @ sweep.ready
    share = weight / max(1, int(sweep.patterns.weight.sum()))
    score = np.where(sweep.ready.any(axis=0), served + 1e-3 * share, -1.0)
    return int(score.argmax())


def _most_advanced(sweep: Cursors) -> int:
    """Returns the node that is ready in the largest share of the partitions in which it still has to run."""
    left = sweep.patterns.weight @ (sweep.left > 0)
    ready = sweep.patterns.weight @ sweep.ready
    score = np.where(ready > 0, ready / np.maximum(left, 1) + 1e-6 * ready / max(1, int(ready.max())), -1.0)
    return int(score.argmax())


_MODES: dict[str, tuple[Rule, ...]] = {
    "mcs": (partial(_greedy, _most_served), partial(_greedy, _most_advanced)),
    "generational": (_generational,),
    "topological": (_topological,),
}
