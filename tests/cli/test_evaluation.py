"""What is said of a policy's episodes."""

from __future__ import annotations

import numpy as np
import pytest

from rexcli.cli.evaluation import evaluation_values, evaluation_warnings
from rexcli.rl.evaluate import Evaluation

RETURNS = np.array([1.0, 2.0, 6.0], np.float32)


def evaluated(returns: np.ndarray) -> Evaluation:
    hold = np.array([0.5, 1.0, 0.0], np.float32)
    return Evaluation(returns=returns, lengths=np.array([10, 20, 60]), summary={"hold": hold})  # type: ignore[arg-type]


def test_numbers_are_over_episodes_and_plain() -> None:
    values = evaluation_values(evaluated(RETURNS))
    assert values == pytest.approx(
        {"hold": 0.5, "episodes": 3, "return mean": 3.0, "return std": np.std(RETURNS), "length mean": 30.0}
    )
    assert {type(value) for value in values.values()} == {int, float}


def test_returns_that_are_nan_are_counted_and_where_it_began_is_named() -> None:
    assert evaluation_warnings(evaluated(RETURNS), "of the sample rollouts") == []
    struck = evaluated(np.where(RETURNS > 1, np.nan, RETURNS))
    [warning] = evaluation_warnings(struck, "node 'tank': state.level is NaN")
    assert warning == "2 of 3 episodes have a return that is NaN; node 'tank': state.level is NaN"
    [warning] = evaluation_warnings(struck, None)
    assert warning.endswith("none of the rollouts that were kept has any")
