from __future__ import annotations

import math

import pytest

from rexcli.timeline.statistics import statistics
from tests.timeline.by_hand import edge, node, run, system


def test_load_and_lateness():
    """25, then 2 and 2, of a period of 10; starts 0, 25, 35 where 0, 10, 20 were scheduled."""
    found = statistics(run(system(node("a"), supervisor="a"), steps=2, a=[25, 2, 2])).nodes["a"]
    assert found.ticks == 3
    assert found.phase == 0
    assert found.load.mean == pytest.approx(29 / 30)
    assert found.load.max == pytest.approx(2.5)
    assert found.lateness.median == pytest.approx(0.015)
    assert found.lateness.mean == pytest.approx(0.010)


def test_age_of_what_is_read():
    """a ends at 4, 14, 24, 34 and its messages take 5: b reads them at 10, 20, 30 (age 6), and nothing at 0."""
    spec = system(node("a"), node("b"), edge("a", "b"), supervisor="b")
    found = statistics(run(spec, a=4, a__b=5)).edges["a>b"]
    assert found.messages == 4
    assert found.age_read.mean == found.age_newest.max == pytest.approx(0.006)
    assert (found.unread, found.stale) == (0, 0)


def test_unread_are_messages_that_the_window_passes_over():
    """b at 25 Hz reads 0 | 1 … 4 | 5 … 8: with window 1 it sees 0, 4 and 8, with window 4 all."""
    for window, unread in ((1, 6 / 9), (3, 2 / 9), (4, 0)):
        spec = system(node("a"), node("b", 25), edge("a", "b", window=window), supervisor="b")
        assert statistics(run(spec, steps=2)).edges["a>b"].unread == pytest.approx(unread)


def test_stale_are_steps_that_see_nothing_new():
    """a at 25 Hz, b at 100 Hz: of b's steps 1 … 8, only 4 and 8 see something new."""
    spec = system(node("a", 25), node("b"), edge("a", "b"), supervisor="b")
    found = statistics(run(spec, steps=8)).edges["a>b"]
    assert found.stale == pytest.approx(6 / 8)
    assert found.age_newest.max == pytest.approx(0.030)


def test_late_are_messages_read_later_than_expected():
    """Message k is expected at b's tick k; message 1 takes 4 instead of at most 3, and of 0, 1, 2 it is late."""
    spec = system(node("a", expected=4), node("b"), edge("a", "b", 3), supervisor="b")
    found = statistics(run(spec, steps=2, a=4, a__b=[3, 4, 2])).edges["a>b"]
    assert found.late == pytest.approx(1 / 3)


def test_an_edge_that_nothing_came_through():
    spec = system(node("a"), node("b"), edge("a", "b"), supervisor="b")
    found = statistics(run(spec, a__b=500)).edges["a>b"]
    assert math.isnan(found.age_read.mean)
    assert math.isnan(found.unread)
    assert found.stale == 1
