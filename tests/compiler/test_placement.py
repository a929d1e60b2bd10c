"""Which tick each slot runs in each row, worked out by hand."""

from __future__ import annotations

import numpy as np

from rexcli.compiler.cut import cut
from tests.compiler.test_template_fit import A, B, placed
from tests.compiler.timelines import by_hand


def test_place_runs_each_tick_in_the_first_slot_that_can():
    placement = placed(cut(by_hand()), [A, B])
    assert placement.nodes == ("a", "b")
    # Warm-up: a0, b0; a1. Then a2, b1; a3, b2; and the idle row. With a row less a2 would come too late for s1.
    assert placement.warmup == 2
    np.testing.assert_array_equal(placement.tick[:, 0], [[0, 1, 2, 3, -1], [0, -1, 1, 2, -1]])


def test_place_takes_ticks_no_earlier_than_they_start():
    placement = placed(cut(by_hand()), [A, A, B])
    # With two slots a3 (18 ms) runs before s1 (20 ms), but none but a0 and a1 before s0 (10 ms).
    np.testing.assert_array_equal(placement.tick[:, 0], [[0, 2, -1, -1], [1, 3, -1, -1], [0, 1, 2, -1]])


def test_place_takes_ticks_as_far_ahead_as_is_allowed():
    # Two steps early is early enough for all of it to run before s0, but no row runs more than its slots.
    placement = placed(cut(by_hand(), lookahead=2), [A, A, B])
    np.testing.assert_array_equal(placement.tick[:, 0], [[0, 2, -1, -1], [1, 3, -1, -1], [0, 1, 2, -1]])
    placement = placed(cut(by_hand(), lookahead=2), [A, A, A, B, A, B])
    np.testing.assert_array_equal(placement.tick[:, 0, 0], [0, 1, 2, 0, 3, 1])
