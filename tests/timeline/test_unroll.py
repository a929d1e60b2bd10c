"""Which delays are taken, and when messages arrive with them. Times in ms; 100 Hz unless a node says otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from rexcli.errors import RexError
from rexcli.timeline.simulate import simulate
from rexcli.timeline.spec import NEVER
from tests.timeline import systems
from tests.timeline.by_hand import Given, arrivals, edge, node, readers, run, system


def test_messages_do_not_overtake():
    """a ends at 4, 14, 24, 34; delays 15, 0, 0, 0 would arrive at 19, 14, 24, 34."""
    spec = system(node("a"), node("b"), edge("a", "b"), supervisor="b")
    timeline = run(spec, a=4, a__b=[15, 0])
    assert arrivals(timeline, "a>b") == [19, 19, 24, 34]
    assert readers(timeline, "a>b") == [2, 2, 3, -1]


def test_delays_below_zero_count_as_zero():
    spec = system(node("a"), node("b"), edge("a", "b"), supervisor="b")
    timeline = run(spec, a=-3, a__b=-5)
    assert arrivals(timeline, "a>b") == [0, 10, 20, 30]


@pytest.mark.parametrize("name", ["a", "a>b"])
@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "NaN or infinite"), (np.inf, "NaN or infinite"), (np.iinfo(np.int64).min, "NaN"), (2**61, "shorter")],
)
def test_delays_that_are_no_time_are_refused_by_name(name, value, message):
    spec = system(node("a"), node("b"), edge("a", "b"), supervisor="b")

    def sample(kind, which, ticks):
        return np.full((1, ticks), value) if which == name else np.zeros((1, ticks), np.int64)

    kind = "edge" if ">" in name else "node"
    with pytest.raises(RexError, match=rf"{kind} '{name}': a sampled delay is .*{message}"):
        simulate(spec, sample, episodes=1, steps=3)


def test_delays_of_the_wrong_shape_are_refused():
    spec = system(node("a"), supervisor="a")
    with pytest.raises(RexError, match=r"node 'a': delays of shape \[2, \d+\]; give \[1, \d+\]"):
        simulate(spec, Given({}, episodes=2), episodes=1, steps=3)


@settings(max_examples=60, deadline=None)
@given(systems.cases())
def test_losses_move_no_step_and_no_delay(case):
    """Without losses the same steps happen at the same times, and every message that is there has come no earlier."""
    spec, delays = case
    kept = replace(spec, edges=tuple(replace(each, loss=0.0) for each in spec.edges))
    lossy, whole = systems.run(spec, delays, episodes=(0, 1)), systems.run(kept, delays, episodes=(0, 1))
    for name, steps in whole.steps.items():
        np.testing.assert_array_equal(lossy.steps[name].start, steps.start)
        np.testing.assert_array_equal(lossy.steps[name].end, steps.end)
    for each in spec.edges:
        ours, theirs = lossy.messages[each.name].arrive, whole.messages[each.name].arrive
        lost = np.zeros(ours.shape, bool)
        if each.loss:
            lost = replace(delays, episodes=(0, 1))("loss", each.name, ours.shape[1]) & (theirs < NEVER)
        assert ((ours == NEVER) == (lost | (theirs == NEVER))).all()
        assert (ours <= theirs)[~lost].all()
        if each.reorder or not each.loss:
            np.testing.assert_array_equal(ours[~lost], theirs[~lost])
