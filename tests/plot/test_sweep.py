"""A sweep's picture: a dot for every job that has a result, on the axis that its key asks for."""

from __future__ import annotations

import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.plot import sweep
from rexcli.plot.sweep import draw, numbers_of, rows_of
from tests.plot import fixtures
from tests.plot.boxes import by_gid, clipped, covered
from tests.plot.fixtures import PENDULUM

TABLE = fixtures.sweep()
KEYS = ["ppo.lr", "nodes.agent.rate"]


def test_swept_keys_are_told_from_results() -> None:
    rows = rows_of(TABLE)
    assert sweep._swept(rows, {**PENDULUM, "ppo": {"lr": 1e-3}}) == KEYS
    assert sweep._swept(rows, {}) == KEYS


def test_every_finished_job_is_a_dot_at_its_values() -> None:
    fig = draw(rows_of(TABLE), swept=KEYS)
    dots = np.concatenate([line.get_xydata() for line in by_gid(fig, "jobs:ppo.lr:hold")])
    wanted = [(lr, float(hold)) for lr, hold in zip(TABLE["ppo.lr"], TABLE["hold"], strict=True) if hold]
    np.testing.assert_allclose(sorted(map(tuple, dots)), sorted(wanted))
    assert "1 of 6 jobs did not finish" in [text.get_text() for text in fig.texts]


@pytest.mark.parametrize(
    ("values", "scale"),
    [([1e-4, 3e-4, 1e-3], "log"), ([1e-5, 1e-2], "log"), ([25, 50, 75], "linear"), ([0, 1, 1000], "linear")],
)
def test_axes_are_logarithmic_where_values_lie_by_ratios(values: list[float], scale: str) -> None:
    fig = draw(rows_of({"ppo.lr": np.asarray(values), "hold": np.arange(len(values))}), swept=["ppo.lr"])
    assert fig.axes[0].get_xscale() == scale


def test_words_are_categories() -> None:
    table = {"compile.mode": np.asarray(["mcs", "generational", "mcs"]), "hold": np.asarray([0.1, 0.2, 0.3])}
    fig = draw(rows_of(table), swept=["compile.mode"])
    assert [label.get_text() for label in fig.axes[0].get_xticklabels()] == ["mcs", "generational"]


def test_cells_that_are_lists_or_text_count_as_numbers() -> None:
    cells = [1.5, "2.5", "[1.0, 3.0]", '["NaN", 4]', "", "nan", "word", "[", None]
    assert [numbers_of(cell) for cell in cells] == [[1.5], [2.5], [1.0, 3.0], [4.0], [], [], [], [], []]


def test_no_label_covers_another_or_leaves_the_picture() -> None:
    many = {
        "a.long.key.of.a.sweep": np.asarray([f"category_number_{i}" for i in range(8)]),
        "b.rate": np.asarray([1, 2, 3, 5, 8, 13, 21, 34]),
        "c.lr": 10.0 ** -np.arange(8),
        "hold": np.linspace(0, 1, 8),
        "return_mean": np.linspace(-1e6, 0, 8),
    }
    for fig in (
        draw(rows_of(TABLE), swept=KEYS),
        draw(rows_of(many), swept=list(many)[:3], metrics=["hold", "return_mean"]),
    ):
        assert covered(fig) == []
        assert clipped(fig) == []


def test_missing_columns_and_empty_results_are_refused() -> None:
    with pytest.raises(RexError, match="return_mean"):
        draw(rows_of(TABLE), swept=KEYS, metrics=["retrun_mean"])
    failed = {**TABLE, "hold": np.asarray([""] * 6), "return_mean": np.full(6, np.nan)}
    with pytest.raises(RexError, match="did all jobs fail"):
        draw(rows_of(failed), swept=KEYS)
