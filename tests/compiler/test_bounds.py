"""Bounds of a timeline that was worked out by hand, and that they hold of random ones."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rexcli.compiler.bounds import bound, spread
from rexcli.compiler.partition import cut
from rexcli.compiler.plan import make_plan
from tests.compiler.timelines import by_hand, timelines

many = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def test_bound_draws_bursts_out():
    # s1 requires two more ticks of a than s0 does, but one of them may run a row early.
    np.testing.assert_array_equal(bound(cut(by_hand())), [1, 1])


def test_spread_runs_no_more_in_a_row_than_it_must():
    cuts = cut(by_hand())
    np.testing.assert_array_equal(spread(cuts, bound(cuts)), [[[2, 3, 4]], [[1, 2, 3]]])


@given(timelines(max_nodes=6, max_steps=12), st.sampled_from(["mcs", "generational"]), st.integers(0, 2))
@many
def test_no_plan_has_fewer_slots(timeline, mode, ahead):
    cuts = cut(timeline, ahead=ahead)
    template = make_plan(timeline, mode=mode, ahead=ahead).template
    for name, fewest in zip(cuts.nodes, bound(cuts), strict=True):
        assert template.count(name) >= fewest


@given(timelines(max_nodes=6, max_steps=12), st.integers(0, 2))
@many
def test_spread_stays_within_the_cuts(timeline, ahead):
    cuts = cut(timeline, ahead=ahead)
    done = spread(cuts, bound(cuts))
    assert (done <= cuts.started).all()
    assert (done >= cuts.required).all()
    assert (np.diff(done, axis=2) >= 0).all()
