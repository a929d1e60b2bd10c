"""Laws of timelines over random systems."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rexcli.errors import RexError
from rexcli.timeline.arrays import from_arrays, to_arrays
from rexcli.timeline.edit import augment, drop
from rexcli.timeline.order import order
from rexcli.timeline.phases import phases
from rexcli.timeline.schedule import scheduled
from rexcli.timeline.spec import NEVER
from tests.timeline.scalar import rules
from tests.timeline.systems import STEPS, cases, run


def assert_equal(one, other):
    assert one.spec == other.spec
    for name, steps in one.steps.items():
        for field in ("start", "end", "count"):
            np.testing.assert_array_equal(getattr(steps, field), getattr(other.steps[name], field), name)
    for name, messages in one.messages.items():
        for field in ("arrive", "reader"):
            np.testing.assert_array_equal(getattr(messages, field), getattr(other.messages[name], field), name)


@settings(max_examples=40, deadline=None)
@given(cases())
def test_the_vectorised_pass_equals_the_rules_one_by_one(case):
    equals_the_rules(case)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(cases())
def test_of_many_more_systems_too(case):
    equals_the_rules(case)


def equals_the_rules(case):
    spec, delays = case
    timeline = run(spec, delays)
    long = {key: delays(*key, 4096)[0] for key in delays.ranges}
    lost = {name: delays("loss", name, 4096)[0] for name in delays.losses}
    rule = rules(
        spec,
        lambda kind, name, tick: int(long[kind, name][tick]),
        lambda edge, message: edge in lost and bool(lost[edge][message]),
    )
    cutoff = rule.start(spec.supervisor, STEPS)
    counts = {}
    for node in spec.nodes:
        steps = timeline.steps[node.name]
        count = counts[node.name] = int(steps.count[0])
        assert steps.start[0].tolist() == [rule.start(node.name, k) for k in range(count)]
        assert steps.end[0].tolist() == [rule.end(node.name, k) for k in range(count)]
        if node.name == spec.supervisor:
            assert count == STEPS + 1
        else:
            assert rule.start(node.name, count) > cutoff
            assert count == 0 or steps.start[0, -1] <= cutoff
    for edge in spec.edges:
        messages = timeline.messages[edge.name]
        sent = range(counts[edge.source])
        assert messages.arrive[0].tolist() == [rule.arrive(edge, i) for i in sent]
        assert messages.reader[0].tolist() == [rule.reader(edge, i, counts[edge.target]) for i in sent]
        windows = [rule.window(edge, k, len(sent)) for k in range(counts[edge.target])]
        assert timeline.window(edge)[0].tolist() == windows
        newest = [max(rule.window(replace(edge, window=len(sent) + 1), k, len(sent))) for k in range(len(windows))]
        assert timeline.newest(edge)[0].tolist() == newest


@settings(max_examples=60, deadline=None)
@given(cases())
def test_a_timeline_is_causal(case):
    """Ends follow starts, starts follow the last end and every message read; messages arrive in order."""
    spec, delays = case
    timeline = run(spec, delays, episodes=(0, 1, 2))
    for steps in timeline.steps.values():
        assert (steps.end >= steps.start).all()
        assert (steps.start[:, 1:] >= np.where(steps.start[:, 1:] < NEVER, steps.end[:, :-1], 0)).all()
    for edge in spec.edges:
        messages, target = timeline.messages[edge.name], timeline.steps[edge.target]
        source = timeline.steps[edge.source]
        assert (messages.arrive >= source.end).all()
        if not edge.reorder:
            assert all((np.diff(row[row < NEVER]) >= 0).all() for row in messages.arrive)
        episode, message = np.nonzero(messages.reader >= 0)
        reader = messages.reader[episode, message]
        assert (reader < target.count[episode]).all()
        assert (target.start[episode, reader] >= messages.arrive[episode, message]).all()
        if edge.skip and not edge.blocking and edge.jitter == "latest":
            assert (target.start[episode, reader] > messages.arrive[episode, message]).all()


@settings(max_examples=60, deadline=None)
@given(cases())
def test_shift_never_shrinks(case):
    """How late a node runs never shrinks under `frequency`, but for waiting, which a node without inputs never does.

    Under `phase` it is at its schedule again as soon as it is no longer busy.
    """
    spec, delays = case
    timeline = run(spec, delays)
    for node in spec.nodes:
        steps = timeline.steps[node.name]
        if any(edge.blocking for edge in spec.inputs(node.name)):
            continue
        due = scheduled(node.rate, phases(spec)[node.name], steps.start.shape[1])
        late = steps.start[0] - due
        if node.scheduling == "frequency":
            assert (np.diff(late) >= 0).all()
        else:
            on_time = steps.end[0, :-1] <= due[1:]
            assert (late[1:][on_time] == 0).all()
        assert (late >= 0).all()


@settings(max_examples=60, deadline=None)
@given(cases())
def test_an_episode_is_the_same_alone_or_in_a_batch(case):
    spec, delays = case
    batch = run(spec, delays, episodes=(0, 1, 2, 3))
    alone = run(spec, delays, episodes=(2,))
    for node in spec.nodes:
        one, many = alone.steps[node.name], batch.steps[node.name].start[2]
        count = one.count[0]
        assert batch.steps[node.name].count[2] == count
        np.testing.assert_array_equal(many[:count], one.start[0])
        assert (many[count:] == NEVER).all()
    for edge in spec.edges:
        sent = alone.steps[edge.source].count[0]
        for field in ("arrive", "reader"):
            one, many = getattr(alone.messages[edge.name], field), getattr(batch.messages[edge.name], field)
            np.testing.assert_array_equal(many[2, :sent], one[0])


@settings(max_examples=60, deadline=None)
@given(cases())
def test_a_longer_episode_extends_a_shorter_one(case):
    """Of a longer timeline, what the shorter one holds is the same; its unread messages may yet be read."""
    spec, delays = case
    short, long = run(spec, delays, steps=STEPS), run(spec, delays, steps=3 * STEPS)
    for name, steps in short.steps.items():
        width = steps.start.shape[1]
        np.testing.assert_array_equal(long.steps[name].start[:, :width], steps.start)
        np.testing.assert_array_equal(long.steps[name].end[:, :width], steps.end)
    for edge in spec.edges:
        messages = short.messages[edge.name]
        width, ticks = messages.reader.shape[1], short.steps[edge.target].count[0]
        np.testing.assert_array_equal(long.messages[edge.name].arrive[:, :width], messages.arrive)
        reader = long.messages[edge.name].reader[:, :width]
        np.testing.assert_array_equal(np.where(reader < ticks, reader, -1), messages.reader)


@settings(max_examples=40, deadline=None)
@given(cases())
def test_an_episode_of_seconds_holds_the_same_ticks(case):
    """Cut at the start of the supervisor's last tick, it is the episode of that many steps."""
    spec, delays = case
    by_steps = run(spec, delays)
    end = int(by_steps.steps[spec.supervisor].start[0, -1])
    assume(end > 0)
    by_seconds = run(spec, delays, seconds=end / 1e9)
    for name, steps in by_steps.steps.items():
        width = steps.start.shape[1]
        np.testing.assert_array_equal(by_seconds.steps[name].start[:, :width], steps.start)
        assert (by_seconds.steps[name].start <= end).all()


@settings(max_examples=60, deadline=None)
@given(cases(), st.data())
def test_what_was_dropped_can_be_simulated_again_around_the_rest(case, data):
    """augment(drop(timeline)) is the timeline, whatever was dropped, if the delays are the same."""
    spec, delays = case
    timeline = run(spec, delays, episodes=(0, 1))
    others = [node.name for node in spec.nodes if node.name != spec.supervisor]
    gone = data.draw(st.sets(st.sampled_from(others)))
    edges = data.draw(st.sets(st.sampled_from([edge.name for edge in spec.edges])))
    rest = drop(timeline, nodes=gone, edges=edges)
    assert {node.name for node in rest.spec.nodes} == {node.name for node in spec.nodes} - gone
    assert_equal(augment(rest, spec, replace(delays, episodes=(0, 1))), timeline)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_saving_and_loading_is_the_identity(case):
    spec, delays = case
    timeline = run(spec, delays, episodes=(0, 1))
    file = io.BytesIO()
    np.savez(file, **to_arrays(timeline))
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        assert_equal(from_arrays(arrays), timeline)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_execution_order_respects_time_and_messages(case):
    """Every step once, by time, after the step before it and after every step whose message it reads."""
    spec, delays = case
    timeline = run(spec, delays)
    try:
        nodes, ticks = order(timeline, 0)
    except RexError as error:
        assume("wait for each other" not in str(error))
        raise
    names = [node.name for node in spec.nodes]
    place = {(names[n], int(k)): index for index, (n, k) in enumerate(zip(nodes, ticks, strict=True))}
    assert len(place) == len(nodes) == sum(int(steps.count[0]) for steps in timeline.steps.values())
    times = [timeline.steps[names[n]].start[0, k] for n, k in zip(nodes, ticks, strict=True)]
    assert times == sorted(times)
    assert all(place[name, tick] > place[name, tick - 1] for name, tick in place if tick)
    for edge in spec.edges:
        for message, reader in enumerate(timeline.messages[edge.name].reader[0].tolist()):
            assert reader < 0 or place[edge.source, message] < place[edge.target, reader]
