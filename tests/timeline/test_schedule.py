"""What blocking inputs require, on systems small enough to work out by hand. Times in ms; 100 Hz unless a node says
otherwise."""

from __future__ import annotations

import pytest

from tests.timeline.by_hand import edge, node, readers, run, starts, system


def test_blocking_waits_for_what_the_schedule_requires():
    """Both scheduled at 0, 10, 20, 30: tick k of b requires message k, which arrives at 10 k + 7."""
    spec = system(node("a"), node("b"), edge("a", "b", blocking=True), supervisor="b")
    timeline = run(spec, a=4, a__b=3)
    assert starts(timeline, "b") == [7, 17, 27, 37]
    assert readers(timeline, "a>b") == [0, 1, 2, 3]


def test_blocking_with_skip_requires_strictly_earlier_ticks():
    """Tick 0 of b requires nothing, tick k message k - 1, there at 10 (k - 1) + 7, before the schedule."""
    spec = system(node("a"), node("b"), edge("a", "b", blocking=True, skip=True), supervisor="b")
    timeline = run(spec, a=4, a__b=3)
    assert starts(timeline, "b") == [0, 10, 20, 30]
    assert readers(timeline, "a>b") == [1, 2, 3, -1]
    assert starts(run(spec, a=4, a__b=8), "b") == [0, 12, 22, 32]


@pytest.mark.parametrize(("skip", "expected"), [(False, [0, 1, 2, 2, 3, 4, 4]), (True, [1, 1, 2, 3, 3, 4, -1])])
def test_rates_that_do_not_divide(skip, expected):
    """a at 30 Hz, b at 20 Hz.

    b scheduled | 0   50      100          150    200
    a scheduled | 0   33.3    66.7, 100    133.3  166.7, 200
    required    | 1   2       4            5      7      (<=)
    with skip   | 0   2       3            5      6      (<)
    """
    spec = system(node("a", 30), node("b", 20), edge("a", "b", blocking=True, skip=skip), supervisor="b")
    assert readers(run(spec, steps=4), "a>b") == expected


def test_blocking_requires_the_sources_schedule_whatever_its_output_phase():
    """a is scheduled at 0, 10, …, b (phase 4 + 3) at 7, 17, …: tick k still requires message k alone."""
    spec = system(node("a", expected=4), node("b"), edge("a", "b", 3, blocking=True), supervisor="b")
    timeline = run(spec, a=[4, 9, 4], a__b=3)
    assert readers(timeline, "a>b") == [0, 1, 2, 3]
    assert starts(timeline, "b") == [7, 22, 27, 37]
