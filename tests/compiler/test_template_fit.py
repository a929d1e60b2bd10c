"""Placements that were worked out by hand, and what holds of all."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rexcli.compiler.cut import Cuts, cut
from rexcli.compiler.dependencies import find_dependencies, find_patterns
from rexcli.compiler.placement import Placement, place
from rexcli.compiler.template_fit import TemplateFitter
from rexcli.compiler.template_rules import rules
from tests.compiler.timelines import by_hand, timelines

A, B = 0, 1


def fitter(cuts: Cuts) -> TemplateFitter:
    return TemplateFitter(find_dependencies(cuts))


def placed(cuts: Cuts, template: list[int]) -> Placement:
    return place(cuts, fitter(cuts).fit(template))


def test_a_warm_up_is_no_longer_than_it_must_be():
    # Before s0 a0 and b0 must run. That a1 may, too, needs no row of its own if there are two slots after.
    assert placed(cut(by_hand()), [A, B, A, B]).warmup == 1


def test_fit_refuses_a_template_that_comes_too_late():
    assert fitter(cut(by_hand())).fit([B, A]) is None  # b1 needs a2, whose slot comes after
    assert fitter(cut(by_hand())).fit([A]) is None


def test_shorten_leaves_out_what_nothing_misses():
    cuts = cut(by_hand())
    for template in ([A, A, B], [B, A, B], [A, B, A, B]):
        short = fitter(cuts).shorten(template)
        assert short.slots == [A, B]
        np.testing.assert_array_equal(place(cuts, short).tick, placed(cuts, [A, B]).tick)


def test_shorten_refuses_what_does_not_fit():
    assert fitter(cut(by_hand())).shorten([B, A]) is None


# ------------------------------------------------------------------ laws


@given(timelines(max_nodes=6, max_steps=12), st.integers(0, 2), st.integers(0, 1))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_shorten_leaves_no_slot_that_could_go(timeline, ahead, rule):
    cuts = cut(timeline, lookahead=ahead)
    dependencies = find_dependencies(cuts)
    fitting = TemplateFitter(dependencies)
    running = np.flatnonzero(dependencies.fewest).tolist()
    short = fitting.shorten(list(rules("mcs")[rule](find_patterns(cuts, cuts.required))) + running)
    tick = place(cuts, short).tick
    assert (np.bincount(short.slots, minlength=len(dependencies.fewest)) >= dependencies.fewest).all()
    for slot in range(len(short.slots)):
        assert fitting.fit(short.slots[:slot] + short.slots[slot + 1 :]) is None
    np.testing.assert_array_equal(placed(cuts, short.slots).tick, tick)


@given(timelines(max_nodes=6, max_steps=12), st.integers(0, 2))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_warm_up_could_not_be_shorter(timeline, ahead):
    """What a warm-up of one row less leaves to be done comes too late for some supervisor tick."""
    cuts = cut(timeline, lookahead=ahead)
    fit = fitter(cuts).fit(list(rules("mcs")[0](find_patterns(cuts, cuts.required))) + list(range(len(cuts.nodes))))
    for episode, warmup in enumerate(fit.warmup):
        done = np.zeros(len(cuts.nodes), np.int64)
        rows = [0] * (len(warmup) - 1) + list(range(1, int(cuts.length[episode])))
        late = len(warmup) == 1
        for number, p in enumerate(rows, 1):
            for node in fit.slots:
                needs = [(source, need[episode]) for source, need in cuts.needs[node]]
                may = done[node] < cuts.started[node, episode, p]
                done[node] += may and all(done[source] >= need[done[node]] for source, need in needs)
            late |= number >= len(warmup) - 1 and bool((done < cuts.required[:, episode, p]).any())
        assert late
