"""Placements that were worked out by hand."""

from __future__ import annotations

import numpy as np

from rexcli.compiler.partition import cut
from rexcli.compiler.schedule import bound, place, shorten, spread
from tests.compiler.timelines import by_hand

A, B = 0, 1


def test_bound_draws_bursts_out():
    # s1 requires two more ticks of a than s0 does, but one of them may run a row early.
    np.testing.assert_array_equal(bound(cut(by_hand())), [1, 1])


def test_spread_runs_no_more_in_a_row_than_it_must():
    np.testing.assert_array_equal(spread(cut(by_hand())), [[[2, 3, 4]], [[1, 2, 3]]])


def test_place_runs_each_tick_in_the_first_slot_that_can():
    template, placement = place(cut(by_hand()), [A, B])
    assert template == [A, B]
    # Warm-up: a0, b0; a1. Then a2, b1; a3, b2; and the idle row.
    assert placement.warmup == 2
    np.testing.assert_array_equal(placement.tick[:, 0], [[0, 1, 2, 3, -1], [0, -1, 1, 2, -1]])


def test_place_takes_ticks_no_earlier_than_they_start():
    _, placement = place(cut(by_hand()), [A, A, B])
    # With two slots a3 (18 ms) runs before s1 (20 ms), but none but a0 and a1 before s0 (10 ms).
    np.testing.assert_array_equal(placement.tick[:, 0], [[0, 2, -1, -1], [1, 3, -1, -1], [0, 1, 2, -1]])


def test_place_refuses_a_template_that_comes_too_late():
    assert place(cut(by_hand()), [B, A]) is None  # b1 needs a2, whose slot comes after
    assert place(cut(by_hand()), [A]) is None


def test_shorten_leaves_out_what_nothing_misses():
    for template in ([A, A, B], [B, A, B], [A, B, A, B]):
        short, placement = shorten(cut(by_hand()), template)
        assert short == [A, B]
        np.testing.assert_array_equal(placement.tick, place(cut(by_hand()), [A, B])[1].tick)


def test_shorten_refuses_what_does_not_fit():
    assert shorten(cut(by_hand()), [B, A]) is None
