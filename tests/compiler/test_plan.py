"""Plans: one worked out by hand, and what holds of all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rexcli.compiler.cut import cut
from rexcli.compiler.plan import Plan, make_plan
from rexcli.compiler.plan_arrays import plan_from_arrays, plan_to_arrays
from rexcli.compiler.report import describe
from rexcli.errors import RexError
from rexcli.timeline.instants import ended
from rexcli.timeline.spec import NodeTiming, SystemTiming
from rexcli.timeline.timeline import Steps, Timeline
from tests.compiler.timelines import MS, by_hand, slots, timelines

MODES = ("mcs", "generational", "topological")
many = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def execution(plan: Plan, episode: int):
    """What the program does in an episode, in order: `(row, slot, tick)`."""
    planned = slots(plan)
    for row in range(plan.table.tick[0].shape[1]):
        for slot in planned:
            if slot.tick[episode, row] >= 0:
                yield row, slot, int(slot.tick[episode, row])


# ------------------------------------------------------------------ by hand


def test_a_system_may_be_one_node():
    one = SystemTiming((NodeTiming("s", 100.0),), (), "s")
    at = np.array([[10, 20, 30]], np.int64) * MS
    for mode in MODES:
        plan = make_plan(Timeline(one, {"s": Steps(at, at, np.array([3]))}, {}), mode=mode)
        assert plan.template == ("s",)
        assert plan.table.tick[0].tolist() == [[0, 1, 2, -1]]


def test_plan_by_hand():
    plan = make_plan(by_hand(window=2))
    assert plan.template == ("a", "b", "s")
    assert plan.warmup == 2
    assert plan.length.tolist() == [2]
    a, b, s = slots(plan)
    assert a.tick.tolist() == [[0, 1, 2, 3, -1]]
    assert b.tick.tolist() == [[0, -1, 1, 2, -1]]
    assert s.tick.tolist() == [[-1, 0, 1, 2, -1]]
    np.testing.assert_array_equal(b.ts, np.float32([[0.002, 0.002, 0.013, 0.021, 0.021]]))
    (read,) = b.inputs
    assert read.newest.tolist() == [[0, 0, 2, 3, 3]]
    np.testing.assert_array_equal(read.ts_sent[0, [0, 2]], np.float32([[0, 0.001], [0.005, 0.012]]))
    assert plan.before["a"].tolist() == [[0, 1, 2, 3, 4]]
    assert plan.before["b"].tolist() == [[0, 1, 1, 2, 3]]
    # b1 reads a1 and a2 when three have been sent; at b0 and s0 the gap before the first takes an entry.
    assert plan.rings == {"a": 2, "b": 2, "s": 1}
    assert plan.pruned == {"a": 1, "b": 0}
    assert plan.efficiency == 1.0
    assert plan.num_patterns == 2


def test_efficiency_counts_slots_that_do_not_run():
    plan = make_plan(by_hand(), prune=False)  # a4 runs too, in the last row, so one row of two has two ticks of a
    assert sorted(plan.template) == ["a", "a", "b", "s"] or plan.template == ("a", "b", "s")
    ran = sum(int((slot.tick[:, plan.warmup : -1] >= 0).sum()) for slot in slots(plan))
    assert plan.efficiency == pytest.approx(ran / (2 * len(plan.template)))


# ------------------------------------------------------------------ laws


@given(timelines(), st.sampled_from(MODES), st.booleans(), st.integers(0, 2))
@many
def test_every_tick_runs_once_after_all_that_it_reads(timeline, mode, prune, ahead):
    plan = make_plan(timeline, mode=mode, prune=prune, lookahead=ahead)
    cuts = cut(timeline, prune=prune)
    supervisor = timeline.spec.supervisor
    newest = {edge.name: timeline.newest(edge) for edge in timeline.spec.edges}
    windows = {edge.name: timeline.window(edge) for edge in timeline.spec.edges}
    for episode in range(timeline.num_episodes):
        ran = dict.fromkeys(timeline.steps, 0)
        for row, slot, tick in execution(plan, episode):
            assert tick == ran[slot.node]
            for read in slot.inputs:
                edge = timeline.spec.edge(read.edge)
                assert read.newest[episode, row] == newest[edge.name][episode, tick]
                assert read.newest[episode, row] < ran[edge.source]
                seen = np.maximum(read.seq[episode, row, -edge.window :], -1)
                np.testing.assert_array_equal(seen, windows[edge.name][episode, tick])
            ran[slot.node] += 1
            if slot.node == supervisor:
                assert row == plan.warmup - 1 + tick
                at = [ran[name] for name in cuts.nodes]
                assert (at >= cuts.required[:, episode, tick]).all()
                assert ahead or (at <= cuts.started[:, episode, tick]).all()
        assert ran[supervisor] == timeline.steps[supervisor].count[episode]
        last = cuts.length[episode] - 1
        wanted = cuts.required[:, episode, last]
        assert all(ran[name] >= count for name, count in zip(cuts.nodes, wanted, strict=True))
        if prune:
            assert all(ran[name] == count for name, count in zip(cuts.nodes, wanted, strict=True))


# ------------------------------------------------------------------ refusals


def test_an_episode_without_the_supervisor_is_refused():
    timeline = by_hand()
    steps = {**timeline.steps, "s": Steps(timeline.steps["s"].start, timeline.steps["s"].end, np.array([0]))}
    with pytest.raises(RexError, match="supervisor 's' has no step"):
        make_plan(Timeline(timeline.spec, steps, timeline.messages))


@given(
    timeline=timelines(max_nodes=6, max_steps=12),
    mode=st.sampled_from(MODES),
    prune=st.booleans(),
    ahead=st.integers(0, 2),
    data=st.data(),
)
@many
def test_of_observed_nodes_a_row_ends_with_exactly_what_has_ended(timeline, mode, prune, ahead, data):
    names = [node.name for node in timeline.spec.nodes]
    observed = data.draw(st.lists(st.sampled_from(names), unique=True))
    plan = make_plan(timeline, mode=mode, prune=prune, lookahead=ahead, observed=observed)
    want = ended(timeline)
    for name in observed:
        if name != timeline.spec.supervisor:
            after = plan.before[name][:, plan.warmup :]
            assert after.shape[1] == want[name].shape[1]
            np.testing.assert_array_equal(after, want[name])
    again = plan_from_arrays(plan_to_arrays(plan), timeline)
    assert again.observed == plan.observed == tuple(sorted(observed))
    assert describe(again) == describe(plan)
