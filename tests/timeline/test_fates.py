"""What became of the messages of an edge, against a look at each, in random systems."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.timeline.fates import count_losses, fates
from rexcli.timeline.spec import NEVER
from tests.timeline.systems import cases, run


@settings(max_examples=25, deadline=None)
@given(cases(largest=4))
def test_every_message_that_was_sent_has_one_fate(case):
    """One that has not come is lost if it was sent so early that any of those that came would have come by the end."""
    timeline = run(*case, episodes=(0, 1))
    for edge in timeline.spec.edges:
        found, steps, arrive = fates(timeline, edge), timeline.steps[edge.source], timeline.messages[edge.name].arrive
        lost, episodes = found.known()
        assert len(lost) == (found.arrived | found.lost).sum()
        took = [
            int(arrive[at] - steps.end[at])
            for at in np.ndindex(arrive.shape)
            if found.arrived[at] and arrive[at] < NEVER
        ]
        for episode, message in np.ndindex(arrive.shape):
            sent = message < steps.count[episode] - (edge.source == timeline.spec.supervisor)
            fate = [bool(flags[episode, message]) for flags in (found.arrived, found.lost, found.under_way)]
            assert sum(fate) == sent
            if not sent:
                continue
            there = arrive[episode, message] < NEVER
            in_time = steps.end[episode, message] + max(took, default=0) <= found.over[episode]
            assert fate == [there, not there and in_time, not there and not in_time]
        for episode, over in enumerate(found.over.tolist()):
            assert (lost[episodes == episode]).sum() == found.lost[episode].sum()
            assert over == max(
                int(each.start[episode, count - 1])
                for each in timeline.steps.values()
                if (count := int(each.count[episode]))
            )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.booleans(), max_size=12), min_size=1, max_size=3))
def test_losses_in_a_row_are_counted_within_an_episode(rows):
    lost = np.array([each for row in rows for each in row], bool)
    episode = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    bursts = [sum(1 for _ in run) for row in rows for each, run in groupby(row) if each]
    expected = (lost.mean(), np.mean(bursts)) if bursts else (0.0, 0.0)
    assert count_losses(lost, episode) == pytest.approx(expected)
