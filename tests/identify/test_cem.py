"""The cross-entropy method is drawn to the best candidate, within the bounds."""

from __future__ import annotations

import numpy as np
import pytest

from rexcli import RexError
from rexcli.identify import CEM
from tests.identify.lines import Lines, search_of

SLOPES = np.random.default_rng(0).normal(size=(40, 3))


def test_the_best_is_found_and_the_search_ends_once_it_is_narrow() -> None:
    truth = np.array([0.2, 0.9, 1.7])
    search = search_of(Lines(SLOPES, truth, states=1))
    found = CEM().minimize(search)
    np.testing.assert_allclose(found.z, truth, atol=2e-3)
    assert found.cost == search.problem.cost(search.problem.errors(found.z[None]))[0]
    assert len(search.curve) < 60


def test_what_lies_beyond_a_bound_is_found_at_it() -> None:
    search = search_of(Lines(np.eye(2), np.array([-0.5, 1.5])))
    np.testing.assert_allclose(CEM(iterations=20).minimize(search).z, [0.0, 1.0], atol=1e-3)


def test_settings_that_cannot_be_are_refused() -> None:
    for wrong in [{"elites": 1}, {"elites": 129}, {"iterations": 0}, {"smoothing": 1.0}]:
        with pytest.raises(RexError, match=r"identify\.optimizer: population="):
            CEM(**wrong)  # type: ignore[arg-type]
