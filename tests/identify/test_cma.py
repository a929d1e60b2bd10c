"""CMA-ES asks the package `cma` within the bounds, and keeps the best of all that was tried."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from rexcli import RexError
from rexcli.identify import CMAES
from tests.identify.lines import Lines, search_of

TRUTH = np.array([0.2, 0.9, 1.7])


class Strategy:
    """Stands for `cma.CMAEvolutionStrategy`: asks ever further from the truth."""

    def __init__(self, start: np.ndarray, deviation: float, options: dict) -> None:
        self.options, self.told, made[:] = options, [], [self]

    def stop(self) -> bool:
        return len(self.told) == self.options["maxiter"]

    def ask(self) -> list[np.ndarray]:
        return [TRUTH + 0.01 * (len(self.told) + 1) * (1 + index) for index in range(self.options["popsize"])]

    def tell(self, tried: list[np.ndarray], costs: list[float]) -> None:
        self.told.append(costs)


made: list[Strategy] = []


def test_the_best_of_all_is_kept_and_bounds_are_as_the_package_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cma", SimpleNamespace(CMAEvolutionStrategy=Strategy))
    search = search_of(Lines(np.eye(3), TRUTH, states=1))
    found = CMAES(population=4, iterations=5).minimize(search)
    np.testing.assert_allclose(found.z, TRUTH + 0.01)
    assert made[0].options["bounds"] == [[0.0, 0.0, None], [1.0, 1.0, None]]
    assert found.cost == min(min(costs) for costs in made[0].told)
    assert [row[0] for row in search.curve] == [4, 8, 12, 16, 20]


def test_where_the_package_is_not_there_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cma", None)
    with pytest.raises(RexError, match=r"pip install 'rexcli\[cma\]'"):
        CMAES().minimize(search_of(Lines(np.eye(3), TRUTH)))


def test_settings_that_cannot_be_are_refused() -> None:
    for wrong in [{"population": -1}, {"iterations": 0}, {"deviation": 0.0}, {"deviation": 1.1}]:
        with pytest.raises(RexError, match=r"identify\.optimizer: population="):
            CMAES(**wrong)  # type: ignore[arg-type]
