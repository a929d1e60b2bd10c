"""Plans a program: a template of slots, and for each row of it which tick every slot runs and what it reads.

A *row* is one pass through the template. Supervisor step p is one row; the ticks before the supervisor's first may take
several rows, so that a long warm-up does not lengthen every step. One idle row at the end of each episode stands for
everything past it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rexcli.compiler.cut import Cuts, cut
from rexcli.compiler.dependencies import find_dependencies
from rexcli.compiler.placement import Placement, place
from rexcli.compiler.tables import Ints, Table, tabulate
from rexcli.compiler.template import find_template
from rexcli.compiler.template_rules import Mode
from rexcli.timeline.timeline import Timeline


@dataclass(frozen=True)
class Plan:
    """Everything that a program needs to know about a timeline.

    Attributes:
        mode: how the template was found.
        table: the tick that every slot of the template runs in every row; the supervisor's slot comes last.
        warmup: number of rows up to and including that of the supervisor's first tick; step p is row `warmup - 1 + p`.
        length: number of supervisor steps of each episode, `[episodes]`.
        before: by node, number of ticks that have run when a row begins, and whose messages count as sent in an episode
            that begins there, `[episodes, rows]`.
        rings: by node, how many of its newest outputs have to be kept.
        pruned: by node, how many ticks no supervisor tick depends on.
        num_patterns: number of kinds of partitions that the template was grown for.
        lookahead: how many supervisor steps before its start a tick may run.
        observed: nodes whose states between steps are exactly those at the start of the supervisor's tick.
    """

    mode: Mode
    table: Table
    warmup: int
    length: Ints
    before: dict[str, Ints]
    rings: dict[str, int]
    pruned: dict[str, int]
    num_patterns: int
    lookahead: int
    observed: tuple[str, ...] = ()

    @property
    def template(self) -> tuple[str, ...]:
        """The node of each slot."""
        return tuple(self.table.nodes)

    @property
    def run_share(self) -> npt.NDArray[np.float64]:
        """How often each slot runs, as a share of the steps after the warm-up, `[slots]`."""
        rows = np.arange(self.table.tick[0].shape[1])
        inside = (rows >= self.warmup) & (rows < self.warmup + self.length[:, None])
        return np.array([(tick >= 0)[inside].mean() if inside.any() else 1.0 for tick in self.table.tick])

    @property
    def efficiency(self) -> float:
        """The number of ticks run divided by the number of slots, in the steps after the warm-up, with the supervisor's
        own.
        """
        return float(self.run_share.mean())


def make_plan(
    timeline: Timeline, *, mode: Mode = "mcs", prune: bool = True, lookahead: int = 0, observed: Collection[str] = ()
) -> Plan:
    """Plans the program of a timeline, in five stages, each made from what the ones before it found.

    Args:
        timeline: one or many episodes; each has at least the supervisor's tick 0.
        mode: how to search the template, see `rules`.
        prune: leave out ticks that no supervisor tick depends on.
        lookahead: how many supervisor steps before its start a tick may run if everything that it depends on has run.
            Messages are the same at any value and templates may be shorter, but the states of nodes that are not
            observed are then ahead of time between steps.
        observed: nodes whose states a task observes between steps, see `Environment.observed`. At the end of a row, the
            newest tick of theirs that has run is the newest that has ended when the supervisor's tick starts, whatever
            the other options.

    Raises:
        RexError: if an episode has no supervisor tick, steps wait for each other, `lookahead` is negative, or a node
            is not in the system.
    """
    cuts = cut(timeline, prune=prune, lookahead=lookahead, observed=observed)
    template = find_template(find_dependencies(cuts), mode)
    return plan_placed(cuts, place(cuts, template), mode, template.num_patterns)


def plan_placed(cuts: Cuts, placement: Placement, mode: Mode, num_patterns: int) -> Plan:
    """Returns the plan of a timeline whose ticks have been assigned to slots and rows."""
    table = tabulate(cuts, placement)
    return Plan(
        mode=mode,
        table=table,
        warmup=placement.warmup,
        length=(cuts.length - 1).astype(np.int32),
        before=table.before,
        rings=table.rings(),
        pruned=cuts.pruned,
        num_patterns=num_patterns,
        lookahead=cuts.lookahead,
        observed=cuts.observed,
    )
