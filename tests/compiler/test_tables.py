"""What every slot runs and reads in every row, and how many outputs are kept for it."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexcli.compiler.plan import make_plan
from rexcli.errors import RexError
from rexcli.timeline.spec import SystemTiming
from rexcli.timeline.timeline import Messages, Timeline
from tests.compiler.test_plan import MODES, execution, many
from tests.compiler.test_skipped import EPISODES, STEPS, system
from tests.compiler.timelines import by_hand, draw_timeline, slots, timelines


def test_rings_are_one_where_only_the_newest_is_read():
    assert make_plan(by_hand()).rings == {"a": 1, "b": 1, "s": 1}


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


def test_a_step_that_reads_its_own_message_is_refused():
    timeline = by_hand()
    edges = (*timeline.spec.edges, type(timeline.spec.edges[0])("a_a", "a", "a"))
    spec = SystemTiming(timeline.spec.nodes, edges, "s")
    messages = {**timeline.messages, "a_a": Messages(timeline.steps["a"].start, np.array([[0, 1, 2, 3, 4]]))}
    with pytest.raises(RexError, match=r"edge 'a_a': tick 0 of 'a' reads message 0 of 'a'.*delay"):
        make_plan(Timeline(spec, timeline.steps, messages))


def test_a_skipped_slot_has_the_clock_of_a_tick_that_runs():
    timeline = draw_timeline(system(), EPISODES, STEPS, 0)
    for slot in make_plan(timeline).table.slots():
        steps = timeline.steps[slot.node]
        assert (slot.at >= 0).all()
        assert (slot.at == slot.tick)[slot.tick >= 0].all()
        start = np.take_along_axis(steps.start, slot.at.astype(np.int64), axis=1)
        np.testing.assert_array_equal(slot.ts, (start / 1e9).astype(np.float32))
        for read in slot.inputs:
            assert (read.newest >= 0).all()
            assert (read.age > 0).all()
