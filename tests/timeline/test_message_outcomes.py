"""What became of the messages of an edge, against a look at each, in random systems."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.timeline.message_outcomes import count_losses, message_outcomes
from rexcli.timeline.spec import NEVER
from rexcli.timeline.timeline import Messages, Steps, Timeline
from tests.timeline.by_hand import MS, edge, node, system
from tests.timeline.systems import cases, run


@settings(max_examples=25, deadline=None)
@given(cases(largest=4))
def test_every_message_that_was_sent_has_one_fate(case):
    """One that has not come is lost if it was sent so early that any of those that came would have come by the end."""
    timeline = run(*case, episodes=(0, 1))
    for link in timeline.spec.edges:
        found, steps, arrive = (
            message_outcomes(timeline, link),
            timeline.steps[link.source],
            timeline.messages[link.name].arrive,
        )
        lost, episodes = found.known()
        assert len(lost) == (found.arrived | found.lost).sum()
        took = [
            int(arrive[at] - steps.end[at])
            for at in np.ndindex(arrive.shape)
            if found.arrived[at] and arrive[at] < NEVER
        ]
        for episode, message in np.ndindex(arrive.shape):
            sent = message < steps.count[episode] - (link.source == timeline.spec.supervisor)
            outcome = [bool(flags[episode, message]) for flags in (found.arrived, found.lost, found.under_way)]
            assert sum(outcome) == sent
            if not sent:
                continue
            there = arrive[episode, message] < NEVER
            in_time = steps.end[episode, message] + max(took, default=0) <= found.over[episode]
            assert outcome == [there, not there and in_time, not there and not in_time]
        for episode, over in enumerate(found.over.tolist()):
            assert (lost[episodes == episode]).sum() == found.lost[episode].sum()
            assert over == max(
                int(each.start[episode, count - 1])
                for each in timeline.steps.values()
                if (count := int(each.count[episode]))
            )


def test_what_could_have_come_by_the_very_end_is_lost():
    """The first message takes 5 ms, and the episode is known to go on until 30: what was sent at 25 is lost."""
    spec = system(node("a"), node("b"), edge("a", "b"), supervisor="b")
    sent = np.array([[0, 10, 25, 26]], np.int64) * MS
    last = np.array([[30]], np.int64) * MS
    steps = {"a": Steps(sent, sent, np.array([4])), "b": Steps(last, last, np.array([1]))}
    arrive = np.array([[5 * MS, NEVER, NEVER, NEVER]])
    found = message_outcomes(
        Timeline(spec, steps, {"a>b": Messages(arrive, np.array([[0, -1, -1, -1]]))}), spec.edges[0]
    )
    assert found.lost.tolist() == [[False, True, True, False]]
    assert found.under_way.tolist() == [[False, False, False, True]]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.booleans(), max_size=12), min_size=1, max_size=3))
def test_losses_in_a_row_are_counted_within_an_episode(rows):
    lost = np.array([each for row in rows for each in row], bool)
    episode = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    bursts = [sum(1 for _ in run) for row in rows for each, run in groupby(row) if each]
    expected = (lost.mean(), np.mean(bursts)) if bursts else (0.0, 0.0)
    assert count_losses(lost, episode) == pytest.approx(expected)
