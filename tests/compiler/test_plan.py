"""Plans: one worked out by hand, and what holds of all."""

from __future__ import annotations

from itertools import groupby

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
from rexcli.timeline.timeline import Messages, Steps, Timeline
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


def test_rings_are_one_where_only_the_newest_is_read():
    assert make_plan(by_hand()).rings == {"a": 1, "b": 1, "s": 1}


def test_report_by_hand():
    report = describe(make_plan(by_hand()))
    assert report["slots"] == [
        {"node": "a", "run_share": 1.0, "after": []},
        {"node": "b", "run_share": 1.0, "after": [0]},
        {"node": "s", "run_share": 1.0, "after": [1]},
    ]
    assert report["efficiency"] == 1.0
    assert (report["episodes"], report["steps"], report["partitions"]) == (1, [2], 2)
    assert report["pruned"] == {"a": 1}
    assert report["usage"] == [[1, 1, 1], [1, 1, 1]]


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


@given(timelines(), st.sampled_from(MODES), st.integers(0, 1))
@many
def test_rings_hold_what_is_read_and_gaps_hold_the_first_output(timeline, mode, ahead):
    plan = make_plan(timeline, mode=mode, lookahead=ahead)
    for episode in range(timeline.num_episodes):
        rings = {name: [-1] * size for name, size in plan.rings.items()}
        for row, slot, tick in execution(plan, episode):
            for read in slot.inputs:
                edge = timeline.spec.edge(read.edge)
                ring = rings[edge.source]
                for seq in read.seq[episode, row]:
                    assert ring[seq % len(ring)] == max(seq, -1)
            rings[slot.node][tick % len(rings[slot.node])] = tick


@given(timelines(max_nodes=5, max_steps=12))
@many
def test_no_ring_could_be_shorter(timeline):
    plan = make_plan(timeline)
    needed = dict.fromkeys(plan.rings, 1)
    planned = slots(plan)
    levels = plan.table.levels or range(len(planned))
    for episode in range(timeline.num_episodes):
        ran = dict.fromkeys(plan.rings, 0)
        for row in range(plan.table.tick[0].shape[1]):
            for _, level in groupby(zip(levels, planned, strict=True), key=lambda each: each[0]):
                running = [slot for _, slot in level if slot.tick[episode, row] >= 0]
                before = dict(ran)
                for slot in running:
                    ran[slot.node] += 1
                for slot in running:  # slots of one level may run one after another, so that others have sent already
                    for read in slot.inputs:
                        source = timeline.spec.edge(read.edge).source
                        sent = before[source] if source == slot.node else ran[source]
                        needed[source] = max(needed[source], sent - read.seq[episode, row].min())
    assert plan.rings == needed


@given(timelines(), st.booleans())
@many
def test_mcs_is_never_longer_than_other_modes(timeline, prune):
    plans = {mode: make_plan(timeline, mode=mode, prune=prune) for mode in MODES}
    assert len(plans["mcs"].template) == min(len(plan.template) for plan in plans.values())
    for plan in plans.values():
        assert 0 < plan.efficiency <= 1


@given(timelines(), st.sampled_from(MODES), st.booleans())
@many
def test_storage_is_the_identity(timeline, mode, prune):
    plan = make_plan(timeline, mode=mode, prune=prune)
    arrays = plan_to_arrays(plan)
    assert all(array.dtype != object for array in arrays.values())
    again = plan_from_arrays(arrays, timeline)
    assert describe(again) == describe(plan)
    assert (again.template, again.rings, again.warmup) == (plan.template, plan.rings, plan.warmup)
    for name, before in plan.before.items():
        np.testing.assert_array_equal(again.before[name], before)
    for one, other in zip(slots(again), slots(plan), strict=True):
        np.testing.assert_array_equal(one.tick, other.tick)
        np.testing.assert_array_equal(one.ts, other.ts)
        for read, same in zip(one.inputs, other.inputs, strict=True):
            assert read.edge == same.edge
            np.testing.assert_array_equal(read.newest, same.newest)
            np.testing.assert_array_equal(read.ts_sent, same.ts_sent)
            np.testing.assert_array_equal(read.ts_recv, same.ts_recv)


# ------------------------------------------------------------------ refusals


def test_a_plan_of_another_timeline_is_refused():
    arrays = plan_to_arrays(make_plan(by_hand()))
    shorter = by_hand()
    steps = dict(shorter.steps)
    steps["s"] = Steps(steps["s"].start[:, :2], steps["s"].end[:, :2], np.array([2]))
    with pytest.raises(RexError, match=r"no plan of this timeline.*rex compile"):
        plan_from_arrays(arrays, Timeline(shorter.spec, steps, shorter.messages))
    with pytest.raises(RexError, match="no plan of this timeline"):
        plan_from_arrays({"mode": arrays["mode"]}, by_hand())
    with pytest.raises(RexError, match="no plan of this timeline"):
        plan_from_arrays({**arrays, "tick": arrays["tick"] + 9}, by_hand())


def test_a_plan_that_runs_ticks_too_late_is_refused():
    arrays = plan_to_arrays(make_plan(by_hand()))
    late = arrays["tick"].copy()
    late[0] = np.roll(late[0], 1, axis=-1)
    late[0, 0, 0] = -1
    with pytest.raises(RexError, match="reads message"):
        plan_from_arrays({**arrays, "tick": late}, by_hand())


def test_steps_that_wait_for_each_other_are_refused():
    timeline = by_hand()
    edges = (*timeline.spec.edges, type(timeline.spec.edges[0])("b_a", "b", "a", skip=True))
    spec = SystemTiming(timeline.spec.nodes, edges, "s")
    # a1 reads b1, which reads a1.
    messages = {**timeline.messages, "b_a": Messages(timeline.steps["b"].start, np.array([[-1, -1, -1]]))}
    messages["b_a"].reader[0, :2] = [0, 1]
    with pytest.raises(RexError, match=r"wait for each other.*a#"):
        make_plan(Timeline(spec, timeline.steps, messages))


def test_a_step_that_reads_its_own_message_is_refused():
    timeline = by_hand()
    edges = (*timeline.spec.edges, type(timeline.spec.edges[0])("a_a", "a", "a"))
    spec = SystemTiming(timeline.spec.nodes, edges, "s")
    messages = {**timeline.messages, "a_a": Messages(timeline.steps["a"].start, np.array([[0, 1, 2, 3, 4]]))}
    with pytest.raises(RexError, match=r"edge 'a_a': tick 0 of 'a' reads message 0 of 'a'.*delay"):
        make_plan(Timeline(spec, timeline.steps, messages))


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
