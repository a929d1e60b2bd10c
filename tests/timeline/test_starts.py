"""When steps start, on systems small enough to work out by hand. Times in ms; 100 Hz unless a node says otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.timeline.by_hand import edge, node, readers, run, starts, system


@pytest.mark.parametrize(
    ("scheduling", "expected"), [("frequency", [0, 25, 35, 45, 55]), ("phase", [0, 25, 27, 30, 40])]
)
def test_scheduling_of_a_late_node(scheduling, expected):
    """The first step takes 25, the others 2: keep the spacing from there, or catch up with 0, 10, 20, 30, 40."""
    spec = system(node("a", scheduling=scheduling), supervisor="a")
    assert starts(run(spec, steps=4, a=[25, 2]), "a") == expected


def test_waiting_for_inputs_alone_does_not_shift_the_schedule():
    """Message 1 is 6 late; b's tick 1 waits until 16, but it ends (17) before tick 2 is due (20)."""
    spec = system(node("a"), node("b"), edge("a", "b", blocking=True), supervisor="b")
    assert starts(run(spec, b=1, a__b=[0, 6, 0]), "b") == [0, 16, 20, 30]


def test_overrunning_after_waiting_shifts_the_schedule():
    """Tick 1 waits until 16 and takes 8: tick 2 starts at 24, 4 late, and so do those after it."""
    spec = system(node("a"), node("b"), edge("a", "b", blocking=True), supervisor="b")
    assert starts(run(spec, b=[1, 8, 1], a__b=[0, 6, 0]), "b") == [0, 16, 24, 34]


def test_advance_starts_when_inputs_are_there():
    """Messages arrive at 3, 13, 23, 33; b is scheduled at 8, 18, 28, 38 and its second step takes 12.

    advance | 3, 13, 25 (13 + 12), 33
    else    | 8, 18, 30 (18 + 12), 40 (shifted by 2)
    """
    spec = system(node("a"), node("b", advance=True), edge("a", "b", 8, blocking=True), supervisor="b")
    delays = {"a": 2, "a__b": 1, "b": [1, 12, 1]}
    assert starts(run(spec, **delays), "b") == [3, 13, 25, 33]
    patient = replace(spec, nodes=(node("a"), node("b")))
    assert starts(run(patient, **delays), "b") == [8, 18, 30, 40]


def test_advance_waits_for_the_schedule_if_an_input_does_not_block():
    """Only a node whose inputs all block runs ahead: here the second edge keeps it at 8, 18, 28, 38."""
    spec = system(
        node("a"),
        node("b", advance=True),
        edge("a", "b", 8, blocking=True),
        edge("a", "b", name="other"),
        supervisor="b",
    )
    assert starts(run(spec, a=2, a__b=1), "b") == [8, 18, 28, 38]


def test_a_loop_of_blocking_edges():
    """a waits for b's last message (skip), b for a's: both take 6, so a round takes 12 and not 10.

    tick | a needs      a start  a end | b needs  b start  b end
    0    | nothing         0       6   | a0         6       12
    1    | b0 (12)        12      18   | a1        18       24
    2    | b1 (24)        24      30   | a2        30       36
    3    | b2 (36)        36      42   | (b has not started when the episode ends)
    """
    spec = system(
        node("a"),
        node("b"),
        edge("a", "b", blocking=True),
        edge("b", "a", blocking=True, skip=True),
        supervisor="a",
    )
    timeline = run(spec, a=6, b=6)
    assert starts(timeline, "a") == [0, 12, 24, 36]
    assert starts(timeline, "b") == [6, 18, 30]
    assert readers(timeline, "a>b") == [0, 1, 2, -1]
    assert readers(timeline, "b>a") == [1, 2, 3]


def test_a_node_that_reads_itself():
    """Blocking with skip from a to itself: its own message, 14 under way, must be back before the next step."""
    spec = system(node("a"), edge("a", "a", blocking=True, skip=True), supervisor="a")
    timeline = run(spec, a=1, a__a=14)
    assert starts(timeline, "a") == [0, 15, 30, 45]
    assert readers(timeline, "a>a") == [1, 2, 3, -1]
