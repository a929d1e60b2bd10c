"""Phases, and the systems that are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rexcli.errors import RexError
from rexcli.timeline.phases import advances, check, phases, topological
from tests.timeline.by_hand import MS, edge, node, system

PENDULUM = system(
    node("world", 50, 20),
    node("sensor", 50, 14),
    node("agent", 50, 17),
    edge("world", "sensor", 3),
    edge("sensor", "agent", 7, blocking=True),
    edge("agent", "world", 5, skip=True),
    supervisor="agent",
)


def test_phases_add_up_along_edges_without_skip():
    """sensor: 0 + 20 + 3; agent: 23 + 14 + 7; the skip edge back to the world counts for nothing."""
    assert phases(PENDULUM) == {"world": 0, "sensor": 23 * MS, "agent": 44 * MS}


def test_a_phase_is_the_latest_of_its_inputs():
    """d reads b (phase 4 + 1 = 5, then 0 + 1) and c (4 + 9 = 13, then 2 + 0): 15."""
    spec = system(
        node("d"), node("c", expected=2), node("b"), node("a", expected=4),
        edge("a", "b", 1), edge("a", "c", 9), edge("b", "d", 1), edge("c", "d"),
        supervisor="d",
    )  # fmt: skip
    assert phases(spec) == {"a": 0, "b": 5 * MS, "c": 13 * MS, "d": 15 * MS}
    assert topological(spec) == ["a", "c", "b", "d"]


def test_a_loop_without_skip_is_refused_with_the_loop():
    loop = replace(PENDULUM, edges=tuple(replace(each, skip=False) for each in PENDULUM.edges))
    with pytest.raises(RexError) as error:
        check(loop)
    assert str(error.value) == "loop without skip: world -> sensor -> agent -> world; set skip: true on one edge of it"


def test_only_the_loop_is_named_and_not_what_leads_to_it():
    spec = system(node("x"), node("a"), node("b"), edge("x", "b"), edge("b", "a"), edge("a", "b"), supervisor="x")
    with pytest.raises(RexError, match="loop without skip: a -> b -> a; set skip: true"):
        phases(spec)
    with pytest.raises(RexError, match="loop without skip: a -> a; set skip: true"):
        phases(system(node("a"), edge("a", "a"), supervisor="a"))


def test_a_node_advances_only_if_all_inputs_block():
    spec = system(
        node("a"), node("b", advance=True), edge("a", "b", blocking=True), edge("a", "b", name="c"), supervisor="b"
    )
    assert not advances(spec, spec.node("b"))
    assert advances(replace(spec, edges=spec.edges[:1]), spec.node("b"))
    assert not advances(replace(spec, edges=spec.edges[:1]), node("b"))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([node("b", rate=0)], "nodes.b.rate=0: give a positive number of steps per second"),
        ([node("b", rate=-5)], "nodes.b.rate=-5: give a positive"),
        ([node("b", rate=float("nan"))], "nodes.b.rate=nan: give a positive"),
        ([node("b", rate=float("inf"))], "nodes.b.rate=inf: give a positive"),
        ([node("b", scheduling="often")], "nodes.b.scheduling=often: give 'frequency' or 'phase'"),
        ([node("b", expected=-2)], "nodes.b.expected_delay=-0.002: give a number of seconds, 0 or more"),
        ([node("b", advance=True)], "nodes.b.advance=true: without a blocking input it would run infinitely fast"),
        (
            [node("b", advance=True), edge("a", "b")],
            "nodes.b.advance=true: .*set blocking: true on its inputs, or advance: false",
        ),
        ([node("a")], "nodes.a is declared 2 times"),
        ([edge("a", "a", skip=True), edge("a", "a", skip=True)], "edges.a>a is declared 2 times"),
        ([edge("a", "wrold")], "edges.a>wrold.to=wrold: no node is called 'wrold'"),
        ([edge("aa", "a")], "edges.aa>a.from=aa: no node is called 'aa'; did you mean 'a'"),
        ([edge("a", "a", skip=True, window=0)], "edges.a>a.window=0: give 1 or more messages"),
        ([edge("a", "a", skip=True, jitter="none")], "edges.a>a.jitter=none: give 'latest' or 'buffer'"),
        ([edge("a", "a", -3, skip=True)], "edges.a>a.expected_delay=-0.003: give a number of seconds, 0 or more"),
    ],
)
def test_what_has_no_timeline_is_refused(parts, message):
    check(system(node("a"), supervisor="a"))
    with pytest.raises(RexError, match=message):
        check(system(node("a"), *parts, supervisor="a"))


def test_an_unknown_supervisor_is_refused():
    with pytest.raises(RexError, match="supervisor=agnet: no node is called 'agnet'; did you mean 'agent'"):
        check(replace(PENDULUM, supervisor="agnet"))
