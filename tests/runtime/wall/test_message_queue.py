"""A queue, fed one message at a time, gives each message to the tick that the rules give it to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.runtime.wall.message_queue import MessageQueue, TickSchedule
from rexcli.timeline.reading import blocking_readers, first_readers
from rexcli.timeline.schedule import Schedule, scheduled
from rexcli.timeline.spec import EdgeTiming, NodeTiming, SystemTiming

MS = 1_000_000
SOURCE = NodeTiming("u", 30.0, expected_delay=7 * MS)


def test_a_grid_is_the_schedule() -> None:
    for rate in (50.0, 33.3, 7.0, 999.9):
        grid = TickSchedule(rate, 12345)
        assert [grid(k) for k in range(500)] == scheduled(rate, 12345, 500).tolist()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=25),
    st.lists(st.integers(0, 40), min_size=1, max_size=25),
    st.booleans(),
    st.sampled_from(["latest", "buffer"]),
)
def test_readers_are_those_of_the_rules(gaps: list[int], waits: list[int], skip: bool, jitter: str) -> None:
    """Messages arrive `gaps` ms apart, ticks start `waits` ms apart, and often at the same moment."""
    edge = EdgeTiming("e", "u", "n", skip=skip, jitter=jitter, expected_delay=5 * MS)  # type: ignore[arg-type]
    arrive, start = np.cumsum(gaps) * MS, np.cumsum(waits) * MS
    queue = MessageQueue(edge, SOURCE, TickSchedule(30.0, 3 * MS), TickSchedule(50.0, 0), None)
    found = np.full(len(arrive), -1)
    before = skip and jitter == "latest"  # a tick comes before what arrives at its start
    events = sorted([(t, not before, i, "put") for i, t in enumerate(arrive)], key=lambda e: e[:1])
    events += [(t, before, k, "read") for k, t in enumerate(start)]
    for time, _, index, what in sorted(events, key=lambda e: (e[0], e[3] == ("put" if before else "read"), e[2])):
        if what == "put":
            queue.put(index, int(time), int(time), index)
        else:
            for message in queue.read(int(time)):
                found[message.seq] = index
    due = arrive
    if jitter == "buffer":
        due = np.maximum(arrive, scheduled(30.0, 3 * MS, len(arrive)) + 12 * MS)
    want = first_readers(due[None], start[None], np.array([len(start)]), strictly=before)[0]
    np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("rates", [(50.0, 50.0), (30.0, 50.0), (100.0, 33.3)])
def test_what_a_blocking_edge_requires_is_that_of_the_schedule(skip: bool, rates: tuple[float, float]) -> None:
    source, target = NodeTiming("u", rates[0], 2 * MS), NodeTiming("n", rates[1])
    edge = EdgeTiming("e", "u", "n", blocking=True, skip=skip)
    schedule = Schedule(SystemTiming((source, target), (edge,), "n"), 10**9)
    phase = schedule.phase
    queue = MessageQueue(edge, source, TickSchedule(rates[0], phase["u"]), TickSchedule(rates[1], phase["n"]), None)
    required = schedule.required(edge)
    reader = {}
    for tick, count in enumerate(required.tolist()):
        queue.require(tick)
        while not queue.satisfied:
            queue.put(queue.window[-1].seq + len(queue.waiting) + 1, 0, tick + 1, None)
        reader |= {message.seq: tick for message in queue.read(tick)}
        assert queue.window[-1].seq == count - 1
        assert queue.needed <= tick + 1
    want = blocking_readers(required, len(reader), np.array([len(required)]))[0]
    assert list(reader.values()) == want.tolist()


def test_nothing_arrives_at_a_moment_that_was_read() -> None:
    queue = MessageQueue(EdgeTiming("e", "u", "n"), SOURCE, TickSchedule(30.0, 0), TickSchedule(50.0, 0), None)
    assert queue.read(100) == []
    queue.put(0, 90, 100, None)
    assert queue.waiting[0].arrived == 101
    queue.put(1, 91, 95, None)
    assert queue.waiting[1].arrived == 101


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=25),
    st.lists(st.integers(0, 40), min_size=1, max_size=25),
    st.sampled_from(["latest", "buffer"]),
)
def test_messages_that_overtake_are_read_in_the_order_of_arrival(
    flights: list[int], waits: list[int], jitter: str
) -> None:
    """All are announced at once, each for the moment of its arrival, as emulated ones are."""
    edge = EdgeTiming("e", "u", "n", jitter=jitter, expected_delay=5 * MS, reorder=True)  # type: ignore[arg-type]
    arrive = (np.arange(len(flights)) * 10 + flights) * MS
    start = np.cumsum(waits) * MS
    queue = MessageQueue(edge, SOURCE, TickSchedule(30.0, 3 * MS), TickSchedule(50.0, 0), None)
    for seq, time in enumerate(arrive.tolist()):
        queue.put(seq, 0, time, seq)
    found = np.full(len(arrive), -1)
    for tick, time in enumerate(start.tolist()):
        read = queue.read(time)
        found[[message.seq for message in read]] = tick
        order = [message.seq if jitter == "buffer" else (message.arrived, message.seq) for message in read]
        assert order == sorted(order)  # type: ignore[type-var]
    due = arrive
    if jitter == "buffer":
        due = np.maximum(arrive, scheduled(30.0, 3 * MS, len(arrive)) + 12 * MS)
    want = first_readers(due[None], start[None], np.array([len(start)]), strictly=False)[0]
    np.testing.assert_array_equal(found, want)
