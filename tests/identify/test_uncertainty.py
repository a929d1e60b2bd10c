"""Intervals are as wide as errors make them, and what data do not tell is said."""

from __future__ import annotations

import numpy as np
import pytest

from rexcli.identify.uncertainty import Estimate, estimates_of, uncertainty_of
from tests.identify.lines import Lines

ROWS = 600


def estimates(slopes: np.ndarray, z: list[float], noise: float = 0.02) -> list[Estimate]:
    errors = noise * np.random.default_rng(1).normal(size=len(slopes))
    problem = Lines(slopes, np.array(z), errors)
    return estimates_of(problem, np.array(z), uncertainty_of(problem, np.array(z)))  # type: ignore[arg-type]


def test_deviations_of_independent_errors_are_those_of_least_squares() -> None:
    rng, noise = np.random.default_rng(0), 0.1
    slopes, z = rng.normal(size=(ROWS, 2)), np.array([0.4, 0.6])
    problem = Lines(slopes, z, noise * rng.normal(size=ROWS))
    true = noise * np.sqrt(np.diag(np.linalg.inv(slopes.T @ slopes)))
    np.testing.assert_allclose(uncertainty_of(problem, z).deviation, true, rtol=0.15)  # type: ignore[arg-type]


def test_errors_that_last_make_intervals_wider() -> None:
    rng, z = np.random.default_rng(0), np.array([0.5])
    slopes, noise = np.ones((ROWS, 1)), 0.1 * rng.normal(size=ROWS)
    lasting = np.repeat(noise[::20], 20)
    brief, lasts = (uncertainty_of(Lines(slopes, z, each), z).deviation[0] for each in (noise, lasting))  # type: ignore[arg-type]
    assert lasts == pytest.approx(np.sqrt(20) * brief, rel=0.35)


def test_what_data_tell_is_identified_within_an_interval_and_the_rest_is_not() -> None:
    one, two = np.random.default_rng(0).normal(size=(2, ROWS))
    found = estimates(np.stack([one, two, two, np.zeros(ROWS)], axis=1), [0.4, 0.5, 0.5, 0.5])
    assert [each.name for each in found] == ["n.p0", "n.p1", "n.p2", "n.p3"]
    assert found[0].identified
    assert 0.39 < found[0].low < found[0].value == 0.4 < found[0].high < 0.41
    for each, other in ((found[1], "n.p2"), (found[2], "n.p1")):
        assert each.verdict == f"not identifiable: only a combination with {other} is determined"
        assert each.high - each.low > 0.5
    assert found[3].verdict == "not identifiable: the data do not depend on it enough"
    assert (found[3].low, found[3].high, found[3].sensitivity) == (0.0, 1.0, 0.0)


@pytest.mark.parametrize(("at", "which"), [(0.001, "low=0"), (0.999, "high=1")])
def test_an_estimate_at_its_bound_is_none(at: float, which: str) -> None:
    [found] = estimates(np.ones((ROWS, 1)), [at])
    assert found.verdict == f"not identifiable: at its bound, {which}; widen it"
