"""What each step sees of the messages of an edge. Times in ms; 100 Hz unless a node says otherwise."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from rexcli.timeline.spec import NEVER
from tests.timeline import systems
from tests.timeline.by_hand import edge, node, run, system, windows


def test_a_window_is_the_last_read_messages():
    """a at 100 Hz, b at 50 Hz, no delays: b's ticks 0, 1, 2 read messages 0 | 1, 2 | 3, 4."""
    spec = system(node("a"), node("b", 50), edge("a", "b", window=3), supervisor="b")
    assert windows(run(spec, steps=2), "a>b") == [[-1, -1, 0], [0, 1, 2], [2, 3, 4]]


def test_a_message_stays_in_the_window_until_newer_ones_push_it_out():
    """a at 25 Hz, b at 100 Hz: every message is the newest of four steps."""
    spec = system(node("a", 25), node("b"), edge("a", "b", window=2), supervisor="b")
    assert windows(run(spec, steps=5), "a>b") == [[-1, 0]] * 4 + [[0, 1]] * 2


@settings(max_examples=60, deadline=None)
@given(systems.cases())
def test_messages_are_read_in_order_and_the_newest_is_the_last_that_was_read(case):
    """Messages are read in order, none but the lost is left out, and the newest of tick k is the last read by then."""
    spec, delays = case
    timeline = systems.run(spec, delays)
    for each in spec.edges:
        if each.reorder:
            continue
        messages = timeline.messages[each.name]
        came = np.flatnonzero(messages.arrive[0] < NEVER)
        reader = messages.reader[0, came].tolist()
        read = [tick for tick in reader if tick >= 0]
        assert read == sorted(read)
        assert reader == read + [-1] * (len(reader) - len(read))
        assert (timeline.window(each, 1)[..., 0] == timeline.newest(each)).all()
        for tick, newest in enumerate(timeline.newest(each)[0].tolist()):
            read_by = sum(1 for at in read if at <= tick)
            assert timeline.reads(each)[0, tick] == read_by
            assert newest == (came[read_by - 1] if read_by else -1)
