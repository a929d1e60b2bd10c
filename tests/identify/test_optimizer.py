"""A search keeps its least loss, tries candidates all over the bounds, and refuses what came to nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.errors import RunError
from rexcli.identify.optimizer import Optimum
from rexcli.identify.problem import HUGE
from tests.identify.lines import Lines, search_of

NOTES = st.lists(st.tuples(st.sampled_from(["search", "refine 1"]), st.floats(0, 1e6)), min_size=1)


@settings(max_examples=30, deadline=None)
@given(NOTES)
def test_the_loss_of_a_stage_never_rises_and_begins_anew_with_the_next(notes: list[tuple[str, float]]) -> None:
    search = search_of(Lines(np.eye(2), np.zeros(2)))
    for stage, cost in notes:
        search.stage = stage
        search.problem.rollouts += 1
        search.note(cost, 0.5)
    assert [row[0] for row in search.curve] == list(range(1, len(notes) + 1))
    for index, (_, best, stage) in enumerate(search.curve):
        assert best == min(cost for each, cost in notes[: index + 1] if each == stage)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_candidates_are_one_in_each_part_of_every_range_behind_the_declared_start(count: int) -> None:
    problem = Lines(np.eye(4), np.zeros(4), states=1)
    found = search_of(problem).scattered(count)
    np.testing.assert_array_equal(found[0], problem.start())
    parts = np.sort(np.floor(found[1:, :3] * (count - 1)), axis=0)
    np.testing.assert_array_equal(parts, np.tile(np.arange(count - 1)[:, None], 3))
    assert not found[:, 3].any()


def test_a_search_of_which_nothing_stayed_finite_is_refused() -> None:
    search, z = search_of(Lines(np.eye(2), np.zeros(2))), np.zeros(2)
    assert search.check(Optimum(z, 0.4 * HUGE**2)).cost == 0.4 * HUGE**2
    for cost in (HUGE**2, np.inf, np.nan):
        with pytest.raises(RunError, match="the search diverged"):
            search.check(Optimum(z, cost))
