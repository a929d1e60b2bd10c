"""Templates that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rexcli.compiler.partition import cut
from rexcli.compiler.supergraph import Patterns, find_patterns, fits, rules
from rexcli.errors import RexError
from tests.compiler.timelines import by_hand


def needs(*rows):
    """For each pattern, how many ticks of the source each tick needs; with the column of padding."""
    return np.array([[*row, 0] for row in rows])


def crossed() -> Patterns:
    """Two patterns of two nodes, one tick each: `b` waits for `a` in one, `a` for `b` in the other."""
    one = np.ones((2, 2), np.int64)
    return Patterns(("a", "b"), one, (((1, needs([0], [1])),), ((0, needs([1], [0])),)), np.array([5, 1]))


def test_patterns_are_what_lies_between_cuts_each_kind_once():
    cuts = cut(by_hand())
    patterns = find_patterns(cuts, cuts.required)
    # Up to s1: a1, a2 and b1, which needs both; up to s2: a3 and b2, which needs it.
    assert sorted(patterns.count.tolist()) == [[1, 1], [2, 1]]
    assert patterns.weight.tolist() == [1, 1]
    ((source, need),) = patterns.needs[1]
    assert source == 0
    assert sorted(need[:, 0].tolist()) == [1, 2]


def test_equal_partitions_are_one_pattern():
    cuts = cut(by_hand())
    # With a2 run before s0, each partition is one tick of a, and one of b that waits for it.
    patterns = find_patterns(cuts, np.array([[[2, 3, 4]], [[1, 2, 3]]]))
    assert patterns.count.tolist() == [[1, 1]]
    assert patterns.weight.tolist() == [2]


def test_modes_on_two_patterns_that_cross():
    # Depth by depth, and place by place, both nodes can come first and both second.
    assert sorted(rules("generational")[0](crossed())) == [0, 0, 1, 1]
    assert sorted(rules("topological")[0](crossed())) == [0, 0, 1, 1]
    for grow in rules("mcs"):
        template = list(grow(crossed()))
        assert template in ([0, 1, 0], [1, 0, 1])


def test_a_template_fits_if_one_pass_runs_everything():
    assert fits(crossed(), [0, 1, 0])
    assert fits(crossed(), [1, 0, 1])
    assert not fits(crossed(), [0, 1])
    assert not fits(crossed(), [1, 0])


def test_ticks_of_one_node_take_a_slot_each():
    three = Patterns(("a",), np.array([[3], [1]]), ((),), np.array([1, 1]))
    for mode in ("mcs", "generational", "topological"):
        for grow in rules(mode):
            assert list(grow(three)) == [0, 0, 0]


def test_unknown_mode_is_refused():
    with pytest.raises(RexError, match=r"compile.mode 'short'.*generational"):
        rules("short")
