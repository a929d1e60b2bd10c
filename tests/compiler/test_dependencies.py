"""Patterns and bounds of a timeline that was worked out by hand, and that bounds hold of random ones."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rexcli.compiler.cut import cut
from rexcli.compiler.dependencies import fewest_slots, find_patterns, spread_out
from rexcli.compiler.plan import make_plan
from tests.compiler.timelines import by_hand, timelines

many = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def test_the_bound_draws_bursts_out():
    # s1 requires two more ticks of a than s0 does, but one of them may run a row early.
    np.testing.assert_array_equal(fewest_slots(cut(by_hand())), [1, 1])


def test_spread_runs_no_more_in_a_row_than_it_must():
    cuts = cut(by_hand())
    np.testing.assert_array_equal(spread_out(cuts, fewest_slots(cuts)), [[[2, 3, 4]], [[1, 2, 3]]])


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


@given(timelines(max_nodes=6, max_steps=12), st.sampled_from(["mcs", "generational"]), st.integers(0, 2))
@many
def test_no_plan_has_fewer_slots(timeline, mode, ahead):
    cuts = cut(timeline, lookahead=ahead)
    template = make_plan(timeline, mode=mode, lookahead=ahead).template
    for name, fewest in zip(cuts.nodes, fewest_slots(cuts), strict=True):
        assert template.count(name) >= fewest


@given(timelines(max_nodes=6, max_steps=12), st.integers(0, 2))
@many
def test_spread_stays_within_the_cuts(timeline, ahead):
    cuts = cut(timeline, lookahead=ahead)
    done = spread_out(cuts, fewest_slots(cuts))
    assert (done <= cuts.started).all()
    assert (done >= cuts.required).all()
    assert (np.diff(done, axis=2) >= 0).all()
