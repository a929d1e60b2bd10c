"""Which step reads a message, against a look at every step in turn."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rexcli.timeline.readers import blocking_readers, first_readers
from rexcli.timeline.spec import NEVER

TIMES = st.integers(0, 20) | st.just(NEVER)


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
