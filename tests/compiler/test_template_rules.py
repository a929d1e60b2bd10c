"""Templates that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rexcli.compiler.dependencies import Patterns
from rexcli.compiler.template_rules import Cursors, rules
from rexcli.errors import RexError


def needs(*rows):
    """For each pattern, how many ticks of the source each tick needs; with the column of padding."""
    return np.array([[*row, 0] for row in rows])


def crossed() -> Patterns:
    """Two patterns of two nodes, one tick each: `b` waits for `a` in one, `a` for `b` in the other."""
    one = np.ones((2, 2), np.int64)
    return Patterns(("a", "b"), one, (((1, needs([0], [1])),), ((0, needs([1], [0])),)), np.array([5, 1]))


def test_modes_on_two_patterns_that_cross():
    # Depth by depth, and place by place, both nodes can come first and both second.
    assert sorted(rules("generational")[0](crossed())) == [0, 0, 1, 1]
    assert sorted(rules("topological")[0](crossed())) == [0, 0, 1, 1]
    for grow in rules("mcs"):
        template = list(grow(crossed()))
        assert template in ([0, 1, 0], [1, 0, 1])


@pytest.mark.parametrize(("template", "fits"), [([0, 1, 0], True), ([1, 0, 1], True), ([0, 1], False), ([1, 0], False)])
def test_a_template_fits_if_one_sweep_runs_everything(template, fits):
    sweep = Cursors(crossed())
    for node in template:
        sweep.run(node)
    assert sweep.left.any() != fits


def test_ticks_of_one_node_take_a_slot_each():
    three = Patterns(("a",), np.array([[3], [1]]), ((),), np.array([1, 1]))
    for mode in ("mcs", "generational", "topological"):
        for grow in rules(mode):
            assert list(grow(three)) == [0, 0, 0]


def test_unknown_mode_is_refused():
    with pytest.raises(RexError, match=r"compile.mode 'short'.*generational"):
        rules("short")
