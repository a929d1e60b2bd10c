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


def test_ties_follow_a_skip_edge_where_it_was_waited_for():
    """b is slow, a waits for it (skip): a1 starts as b0 ends, and c, waiting for b's message too, at that time."""
    spec = system(
        node("c"),
        node("b"),
        edge("c", "b", name="back", skip=True),
        edge("b", "c", blocking=True, skip=True),
        supervisor="c",
    )
    timeline = run(spec, steps=3, b=[0, 25, 0])
    sequence = labels(timeline)
    assert sequence.index("b1") < sequence.index("c2")
    assert sequence.index("c2") == len(sequence) - 2 - sequence[::-1].index("c3") + sequence[::-1].index("c3")


def test_a_circle_at_one_moment_is_refused_and_named():
    """a ticks late at 15, both wait for each other at that very time: b for a (blocking), a reads b (no delay)."""
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
    with pytest.raises(RexError, match=r"wait for each other's messages: b#1 -> a#1 -> b#1; give a node or an edge"):
        order(timeline, 0)
