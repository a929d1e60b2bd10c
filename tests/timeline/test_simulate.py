"""Each rule on a system small enough to work out by hand. Times in ms; 100 Hz unless a node says otherwise."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.timeline.simulate import simulate
from rexcli.timeline.spec import NEVER
from tests.timeline.by_hand import MS, Given, arrivals, edge, node, readers, run, starts, system


def test_phase_and_reading_the_newest():
    """b is scheduled when a's message is expected: 4 + 3 = 7.

    tick/message | a start  a end | delay  arrive | b start | read by
    0            |   0       4    |  3       7    |   7     |  0   (exactly at the start counts)
    1            |  10      14    |  4      18    |  17     |  2   (1 ms too late for tick 1)
    2            |  20      24    |  2      26    |  27     |  2
    3            |  30      34    |  9      43    |  37     | none (the episode ends with b's tick 3)
    """
    spec = system(node("a", expected=4), node("b"), edge("a", "b", expected=3), supervisor="b")
    timeline = run(spec, steps=3, a=4, a__b=[3, 4, 2, 9])
    assert starts(timeline, "a") == [0, 10, 20, 30]
    assert starts(timeline, "b") == [7, 17, 27, 37]
    assert arrivals(timeline, "a>b") == [7, 18, 26, 43]
    assert readers(timeline, "a>b") == [0, 2, 2, -1]


def test_skip_leaves_a_tie_to_the_next_step():
    """Skip edges give no phase, so both nodes are scheduled at 0, 10, 20, 30.

    message | end  delay  arrive | read by
    0       |  4     6      10   |  2   (start 10 is not after arrival 10)
    1       | 14     5      19   |  2
    2       | 24     6      30   | none
    """
    spec = system(node("a", expected=4), node("b"), edge("a", "b", expected=3, skip=True), supervisor="b")
    timeline = run(spec, steps=3, a=4, a__b=[6, 5, 6])
    assert starts(timeline, "b") == [0, 10, 20, 30]
    assert readers(timeline, "a>b") == [2, 2, -1, -1]
    without = system(node("a"), node("b"), edge("a", "b"), supervisor="b")
    assert readers(run(without, a=4, a__b=[6, 5, 6]), "a>b") == [1, 2, 3, -1]


def test_jitter_buffer_reads_no_earlier_than_expected():
    """a ends at 4, 14, 24, expected delay 5: due at 9, 19, 29. b at 200 Hz starts at 9, 14, 19, 24, 29, 34, ….

    message | delay  arrive | latest: first start >= arrive | buffer: >= max(arrive, due)
    0       |   5      9    |   9  tick 0                   |   9  tick 0
    1       |   0     14    |  14  tick 1                   |  19  tick 2
    2       |   7     31    |  34  tick 5                   |  34  tick 5
    """
    spec = system(node("a", expected=4), node("b", 200), edge("a", "b", 5), supervisor="b")
    delays = {"a": 4, "a__b": [5, 0, 7, 5]}
    assert readers(run(spec, steps=6, **delays), "a>b")[:3] == [0, 1, 5]
    buffered = replace(spec, edges=(edge("a", "b", 5, jitter="buffer"),))
    assert readers(run(buffered, steps=6, **delays), "a>b")[:3] == [0, 2, 5]


def test_jitter_buffer_with_skip_reads_at_a_tie():
    """Due at 4 + 6 = 10, exactly when b's tick 1 starts: `<=`, skip or not."""
    spec = system(node("a", expected=4), node("b"), edge("a", "b", 6, jitter="buffer", skip=True), supervisor="b")
    assert readers(run(spec, a=4, a__b=6), "a>b") == [1, 2, 3, -1]


def test_several_edges_between_two_nodes():
    """Two inputs from the same source, each with its own delay and rule: starts wait for the blocking one."""
    spec = system(
        node("a"),
        node("b"),
        edge("a", "b", name="fast", blocking=True),
        edge("a", "b", name="slow"),
        supervisor="b",
    )
    timeline = run(spec, fast=2, slow=13)
    assert starts(timeline, "b") == [2, 12, 22, 32]
    assert readers(timeline, "fast") == [0, 1, 2, 3]
    assert arrivals(timeline, "slow") == [13, 23, 33, 43]
    assert readers(timeline, "slow") == [2, 3, -1, -1]


def test_seconds_hold_every_tick_that_starts_until_then():
    spec = system(node("a"), node("b", 40), edge("a", "b"), supervisor="a")
    timeline = simulate(spec, Given({}), episodes=1, seconds=0.05)
    assert starts(timeline, "a") == [0, 10, 20, 30, 40, 50]
    assert starts(timeline, "b") == [0, 25, 50]
    assert timeline.num_steps.tolist() == [5]


def test_episodes_of_unequal_length_are_padded():
    """The second episode's supervisor is late, so that the other node has more ticks."""

    def sample(kind, name, ticks):
        slow = np.zeros((2, ticks), np.int64)
        slow[1] = 25 * MS if name == "b" else 0
        return slow

    spec = system(node("a"), node("b"), edge("a", "b"), supervisor="b")
    timeline = simulate(spec, sample, episodes=2, steps=2)
    assert timeline.steps["a"].count.tolist() == [3, 6]
    assert timeline.steps["a"].start[0].tolist() == [0, 10 * MS, 20 * MS, NEVER, NEVER, NEVER]
    assert timeline.messages["a>b"].arrive[0, 3:].tolist() == [NEVER] * 3
    assert timeline.messages["a>b"].reader.tolist() == [[0, 1, 2, -1, -1, -1], [0, 1, 1, 2, 2, 2]]


def test_ticks_of_the_supervisor_at_the_very_end_are_cut():
    """An advancing supervisor that is never busy starts ticks at once when a late burst arrives."""
    spec = system(node("a"), node("b", advance=True), edge("a", "b", blocking=True), supervisor="b")
    timeline = run(spec, steps=2, a__b=[200, 0])
    assert starts(timeline, "b") == [200, 200, 200]
    assert readers(timeline, "a>b")[:4] == [0, 1, 2, -1]


def test_a_node_far_behind_its_schedule_is_followed_to_the_end():
    """The supervisor takes 5 periods a step, so the other node runs five times as often."""
    spec = system(node("a"), node("b"), edge("a", "b"), supervisor="b")
    timeline = run(spec, steps=20, b=50)
    assert starts(timeline, "b")[-1] == 1000
    assert len(starts(timeline, "a")) == 101


def test_a_loop_that_takes_no_time_is_refused():
    spec = system(
        node("a", advance=True),
        node("b", advance=True),
        edge("a", "b", blocking=True),
        edge("b", "a", blocking=True, skip=True),
        supervisor="b",
    )
    with pytest.raises(RexError, match=r"node 'a': advance: true, .* infinitely fast; set advance: false"):
        run(spec)
    assert len(starts(run(spec, a=1, steps=50), "a")) >= 50


@pytest.mark.parametrize(
    ("length", "message"),
    [
        ({}, "either as steps or as seconds"),
        ({"steps": 3, "seconds": 1.0}, "either as steps or as seconds"),
        ({"steps": 0}, "steps 0: give 1 or more"),
        ({"seconds": 0.0}, "seconds 0: give a positive"),
        ({"seconds": float("nan")}, "seconds nan: give a positive"),
        ({"seconds": 0.004}, "seconds 0.004: an episode ends before supervisor 'a'"),
        ({"steps": 3, "episodes": 0}, "episodes 0: give 1 or more"),
    ],
)
def test_lengths_that_make_no_episode_are_refused(length, message):
    with pytest.raises(RexError, match=message):
        simulate(system(node("a"), supervisor="a"), Given({}), **{"episodes": 1, **length})


def test_memory_is_proportional_to_steps_and_messages():
    """At most some twenty 8-byte numbers per step and message at any time, however long the episode."""
    spec = system(
        node("a", expected=2),
        node("b", 50),
        edge("a", "b", 1, blocking=True),
        edge("b", "a", skip=True),
        supervisor="b",
    )
    delays = {"a": 2, "b": 3, "a>b": 1, "b>a": 4}
    for episodes, steps in ((20, 500), (20, 5000), (200, 500)):
        tracemalloc.start()
        timeline = simulate(spec, Given(delays, episodes), episodes=episodes, steps=steps)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        entries = sum(part.start.size for part in timeline.steps.values())
        entries += sum(part.arrive.size for part in timeline.messages.values())
        assert peak < 20 * 8 * entries
