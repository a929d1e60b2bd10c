"""Least squares find what straight lines say, within the bounds; what data do not tell stays where it began."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli import RexError
from rexcli.identify import LevenbergMarquardt
from rexcli.identify.levenberg import descend
from tests.identify.lines import Lines, search_of

SLOPES = np.random.default_rng(0).normal(size=(40, 3))


@settings(max_examples=5, deadline=None)
@given(st.lists(st.floats(0.05, 0.95), min_size=2, max_size=2), st.floats(-3, 3))
def test_the_best_is_found(known: list[float], state: float) -> None:
    truth = np.array([*known, state])
    search = search_of(Lines(SLOPES, truth, states=1))
    found = LevenbergMarquardt(scout=4, restarts=2).minimize(search)
    np.testing.assert_allclose(found.z, truth, atol=1e-3)
    assert found.cost < 1e-6
    assert [row[1] for row in search.curve] == sorted((row[1] for row in search.curve), reverse=True)


def test_what_lies_beyond_a_bound_is_found_at_it() -> None:
    search = search_of(Lines(np.eye(2), np.array([-0.5, 1.5])))
    np.testing.assert_allclose(LevenbergMarquardt(scout=4, restarts=1).minimize(search).z, [0.0, 1.0], atol=5e-3)


def test_what_data_do_not_tell_is_pulled_to_where_the_search_began() -> None:
    slopes = np.pad(np.ones((9, 1)), ((0, 0), (0, 1)))
    search = search_of(Lines(slopes, np.array([0.3, 0.3])))
    for pull, second in ((0.0, 0.9), (1e-3, 0.5)):
        found = descend(search, np.array([0.8, 0.9]), 20, 1e-6, pull=pull)
        np.testing.assert_allclose(found.z, [0.3, second], atol=1e-3)


def test_settings_that_cannot_be_are_refused() -> None:
    for wrong in [{"restarts": 0}, {"restarts": 49}, {"iterations": 0}, {"tolerance": 0.0}]:
        with pytest.raises(RexError, match=r"identify\.optimizer: "):
            LevenbergMarquardt(**wrong)  # type: ignore[arg-type]
