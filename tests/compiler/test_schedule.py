"""Placements that were worked out by hand, and what holds of all."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rexcli.compiler.partition import cut
from rexcli.compiler.schedule import Scheduler
from rexcli.compiler.supergraph import find_patterns, rules
from tests.compiler.timelines import by_hand, timelines

A, B = 0, 1


def test_place_runs_each_tick_in_the_first_slot_that_can():
    fit = Scheduler(cut(by_hand())).place([A, B])
    assert fit.template == [A, B]
    placement = fit.placement()
    # Warm-up: a0, b0; a1. Then a2, b1; a3, b2; and the idle row. With a row less a2 would come too late for s1.
    assert placement.warmup == 2
    np.testing.assert_array_equal(placement.tick[:, 0], [[0, 1, 2, 3, -1], [0, -1, 1, 2, -1]])


def test_place_takes_ticks_no_earlier_than_they_start():
    placement = Scheduler(cut(by_hand())).place([A, A, B]).placement()
    # With two slots a3 (18 ms) runs before s1 (20 ms), but none but a0 and a1 before s0 (10 ms).
    np.testing.assert_array_equal(placement.tick[:, 0], [[0, 2, -1, -1], [1, 3, -1, -1], [0, 1, 2, -1]])


def test_place_takes_ticks_as_far_ahead_as_is_allowed():
    # Two steps early is early enough for all of it to run before s0, but no row runs more than its slots.
    placement = Scheduler(cut(by_hand(), ahead=2)).place([A, A, B]).placement()
    np.testing.assert_array_equal(placement.tick[:, 0], [[0, 2, -1, -1], [1, 3, -1, -1], [0, 1, 2, -1]])
    placement = Scheduler(cut(by_hand(), ahead=2)).place([A, A, A, B, A, B]).placement()
    np.testing.assert_array_equal(placement.tick[:, 0, 0], [0, 1, 2, 0, 3, 1])


def test_a_warm_up_is_no_longer_than_it_must_be():
    # Before s0 a0 and b0 must run. That a1 may, too, needs no row of its own if there are two slots after.
    assert Scheduler(cut(by_hand())).place([A, B, A, B]).placement().warmup == 1


def test_place_refuses_a_template_that_comes_too_late():
    assert Scheduler(cut(by_hand())).place([B, A]) is None  # b1 needs a2, whose slot comes after
    assert Scheduler(cut(by_hand())).place([A]) is None


def test_shorten_leaves_out_what_nothing_misses():
    scheduler = Scheduler(cut(by_hand()))
    for template in ([A, A, B], [B, A, B], [A, B, A, B]):
        short = scheduler.shorten(template)
        assert short.template == [A, B]
        np.testing.assert_array_equal(short.placement().tick, scheduler.place([A, B]).placement().tick)


def test_shorten_refuses_what_does_not_fit():
    assert Scheduler(cut(by_hand())).shorten([B, A]) is None


# ------------------------------------------------------------------ laws


@given(timelines(max_nodes=6, max_steps=12), st.integers(0, 2), st.integers(0, 1))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_shorten_leaves_no_slot_that_could_go(timeline, ahead, rule):
    cuts = cut(timeline, ahead=ahead)
    scheduler = Scheduler(cuts)
    running = np.flatnonzero(scheduler.fewest).tolist()
    short = scheduler.shorten(list(rules("mcs")[rule](find_patterns(cuts, cuts.required))) + running)
    tick = short.placement().tick
    assert (np.bincount(short.template, minlength=len(scheduler.fewest)) >= scheduler.fewest).all()
    for slot in range(len(short.template)):
        assert scheduler.place(short.template[:slot] + short.template[slot + 1 :]) is None
    np.testing.assert_array_equal(scheduler.place(short.template).placement().tick, tick)


@given(timelines(max_nodes=6, max_steps=12), st.integers(0, 2))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_warm_up_could_not_be_shorter(timeline, ahead):
    """What a warm-up of one row less leaves to be done comes too late for some supervisor tick."""
    cuts = cut(timeline, ahead=ahead)
    scheduler = Scheduler(cuts)
    fit = scheduler.place(list(rules("mcs")[0](find_patterns(cuts, cuts.required))) + list(range(len(cuts.nodes))))
    for episode, warmup in enumerate(fit.warmup):
        done = np.zeros(len(cuts.nodes), np.int64)
        rows = [0] * (len(warmup) - 1) + list(range(1, int(cuts.length[episode])))
        late = len(warmup) == 1
        for number, p in enumerate(rows, 1):
            for node in fit.template:
                needs = [(source, need[episode]) for source, need in cuts.needs[node]]
                may = done[node] < cuts.started[node, episode, p]
                done[node] += may and all(done[source] >= need[done[node]] for source, need in needs)
            late |= number >= len(warmup) - 1 and bool((done < cuts.required[:, episode, p]).any())
        assert late
