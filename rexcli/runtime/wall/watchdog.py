"""Detects steps that hang, and distinguishes them from a machine that is suspended."""

from __future__ import annotations

from collections.abc import Iterable

from rexcli.runtime.wall.episode import ScheduledNode
from rexcli.runtime.wall.realtime import now

SHORTEST = 0.2
"""Seconds that any step may take: an ordinary kernel may delay a thread by as much when it is busy."""
LONGEST_LOOK = 0.05
"""The most seconds between two checks that count: if this thread was delayed for longer, so were the steps."""


class Watchdog:
    """Checks the running steps every few milliseconds.

    Args:
        periods: periods of its node that a step may take (and 0.2 s); None for no limit.
    """

    def __init__(self, periods: float | None):
        self._periods = periods
        self._looked = now()
        self._time = 0.0
        self._since: dict[tuple[str, int], float] = {}

    def limit(self, node: ScheduledNode) -> float:
        """Returns the seconds that a step may take."""
        return float("inf") if self._periods is None else max(SHORTEST, self._periods * node.period / 1e9)

    def hung(self, running: Iterable[tuple[ScheduledNode, int]]) -> tuple[ScheduledNode, float] | None:
        """Returns the first step that hangs, and for how many seconds; None if there is none.

        Args:
            running: nodes in a step, and for how long they have been, ns.
        """
        time = now()
        self._time += min((time - self._looked) / 1e9, LONGEST_LOOK)
        self._looked = time
        before, self._since = self._since, {}
        for node, ns in running:
            step = node.name, node.tick
            self._since[step] = before.get(step, self._time - min(ns / 1e9, LONGEST_LOOK))
            if self._time - self._since[step] > self.limit(node):
                return node, ns / 1e9
        return None
