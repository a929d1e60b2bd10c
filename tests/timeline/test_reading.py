"""Which step reads a message and in which order, against a look at every step and every message in turn."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.timeline.reading import Reading, blocking_readers, first_readers
from rexcli.timeline.spec import NEVER

TIMES = st.integers(0, 20) | st.just(NEVER)


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    """One episode: messages in any order, of which each tick reads some, and nobody the last."""
    messages, ticks = draw(st.integers(1, 9)), draw(st.integers(0, 4))
    order = draw(st.permutations(range(messages)))
    counts = draw(st.lists(st.integers(0, messages), min_size=ticks, max_size=ticks).map(sorted))
    return Reading(np.array([counts], np.int64).reshape(1, ticks), np.array([order], np.int64))


def read_by_anybody(reading: Reading) -> list[int]:
    """Sequence numbers in the order of reading."""
    total = int(reading.count[0, -1]) if reading.count.shape[1] else 0
    return reading.order[0, :total].tolist()


@settings(max_examples=50, deadline=None)
@given(readings())
def test_places_are_those_of_the_order_and_below_them_is_a_gap(reading):
    places = np.arange(-3, reading.order.shape[1])
    found = reading.at(places[None])[0].tolist()
    assert found == [-3, -2, -1, *reading.order[0].tolist()]
    assert reading.at(places[None], [0])[0].tolist() == found


@settings(max_examples=50, deadline=None)
@given(readings())
def test_the_oldest_at_a_place_or_later_is_the_lowest_of_what_is_read_from_there_on(reading):
    read = read_by_anybody(reading)
    assert reading.read[0].sum() == len(read)
    none = np.iinfo(np.int64).max
    for place, oldest in enumerate(reading.oldest[0].tolist()):
        assert oldest == min(read[place:], default=none)


@settings(max_examples=50, deadline=None)
@given(readings(), st.integers(1, 4))
def test_there_is_room_for_the_last_messages_that_were_sent_from_any_moment_on(reading, window):
    """Whatever was overtaken and is from before that moment may stand among them."""
    read, room = read_by_anybody(reading), reading.room(window)
    for end in range(len(read) + 1):
        for moment in range(reading.order.shape[1] + 1):
            since = [message for message in read[:end] if message >= moment]
            held = [message for message in read[max(0, end - room) : end] if message >= moment]
            assert held[-window:] == since[-window:]


def test_there_is_no_room_that_nobody_needs():
    in_order = Reading(np.array([[3, 9]]), np.arange(9)[None])
    overtaken = Reading(np.array([[3, 9]]), np.array([[0, 1, 3, 2, 4, 5, 6, 7, 8]]))
    assert [each.room(2) for each in (in_order, overtaken)] == [2, 3]


@given(st.data(), st.integers(1, 4), st.integers(0, 6), st.integers(0, 6), st.booleans())
def test_the_first_step_at_or_after_a_message_reads_it(data, episodes, ticks, messages, strictly):
    row = st.lists(st.integers(0, 20), min_size=ticks, max_size=ticks).map(sorted)
    start = np.array([data.draw(row) for _ in range(episodes)], np.int64).reshape(episodes, ticks)
    count = np.array([data.draw(st.integers(0, ticks)) for _ in range(episodes)])
    start = np.where(np.arange(ticks) < count[:, None], start, NEVER)
    arrive = np.array(
        [data.draw(st.lists(TIMES, min_size=messages, max_size=messages)) for _ in range(episodes)], np.int64
    ).reshape(episodes, messages)
    reader = first_readers(arrive, start, count, strictly=strictly)
    for episode, number in np.ndindex(reader.shape):
        there = [
            tick
            for tick in range(count[episode])
            if start[episode, tick] > arrive[episode, number]
            or (start[episode, tick] == arrive[episode, number] and not strictly)
        ]
        assert reader[episode, number] == (there[0] if there else -1)


@given(st.lists(st.integers(0, 3), max_size=6), st.integers(0, 12), st.lists(st.integers(0, 6), min_size=1, max_size=3))
def test_the_first_tick_that_waits_for_a_message_reads_it(more, messages, counts):
    required = np.cumsum(np.array(more, np.int64))
    count = np.minimum(counts, len(more))
    reader = blocking_readers(required, messages, count)
    for episode, number in np.ndindex(reader.shape):
        waiting = [tick for tick in range(count[episode]) if required[tick] > number]
        assert reader[episode, number] == (waiting[0] if waiting else -1)
