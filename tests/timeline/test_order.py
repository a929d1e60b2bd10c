from __future__ import annotations

import pytest

from rexcli.errors import RexError
from rexcli.timeline.order import order
from tests.timeline.by_hand import edge, node, run, system


def labels(timeline) -> list[str]:
    nodes, ticks = order(timeline, 0)
    return [f"{timeline.spec.nodes[n].name}{k}" for n, k in zip(nodes, ticks, strict=True)]


def test_steps_come_in_time():
    """a at 0, 10, 20 and b at 7, 17."""
    spec = system(node("b"), node("a", expected=4), edge("a", "b", 3), supervisor="b")
    assert labels(run(spec, steps=1, a=4, a__b=3)) == ["a0", "b0", "a1", "b1"]


def test_ties_are_resolved_by_what_is_read():
    """All without delay, declared against the flow: each tick goes a, b, c although all start at once."""
    spec = system(node("c"), node("b"), node("a"), edge("a", "b"), edge("b", "c"), supervisor="c")
    assert labels(run(spec, steps=1)) == ["a0", "b0", "c0", "a1", "b1", "c1"]


def test_ties_follow_a_skip_edge_that_was_waited_for():
    """b's first step takes 25. c, declared first, waits for it, and then for b1 and b2 at their very starts.

    b | 0  25  35        (shifted by 15)
    c | 0  25  25  35    (required: -, b0, b1, b2)
    """
    spec = system(node("c"), node("b"), edge("b", "c", blocking=True, skip=True), supervisor="c")
    assert labels(run(spec, steps=3, b=[25, 0])) == ["c0", "b0", "c1", "b1", "c2", "b2", "c3"]


def test_a_circle_at_one_moment_is_refused_and_named():
    """w makes a0 late (15). b1 waits for a0 until 15, and its message, without delay, is there for a0's start."""
    spec = system(
        node("w"),
        node("b"),
        node("a"),
        edge("w", "a", blocking=True),
        edge("a", "b", blocking=True, skip=True),
        edge("b", "a"),
        supervisor="b",
    )
    timeline = run(spec, steps=2, w__a=[15, 0])
    with pytest.raises(RexError, match=r"wait for each other's messages: b#1 -> a#0 -> b#1; give a node"):
        order(timeline, 0)
