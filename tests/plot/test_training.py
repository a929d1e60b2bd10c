"""Training curves: means and spreads are those of the table, whatever it lacks."""

from __future__ import annotations

import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.plot import training
from rexcli.plot.training import Curves, columns_of, over_seeds
from tests.plot.boxes import by_gid, clipped, covered
from tests.plot.fixtures import metrics


def test_curves_are_mean_least_and_greatest_over_seeds() -> None:
    table = metrics(seeds=4, updates=6)
    steps, mean, low, high, seeds = over_seeds(Curves("a", columns_of(table)), "eval/hold")
    assert seeds == 4
    assert list(steps) == [249_856 * update for update in (2, 4, 6)], "updates without an evaluation are no points"
    for index, step in enumerate(steps):
        values = table["eval/hold"][table["total_steps"] == step]
        assert (mean[index], low[index], high[index]) == pytest.approx((values.mean(), values.min(), values.max()))


def test_drawn_lines_are_the_means_and_bands_need_several_seeds() -> None:
    for seeds in (1, 3):
        run = Curves("a", columns_of(metrics(seeds)))
        fig = training.draw([run], metrics=["train/kl"])
        [line] = by_gid(fig, "mean:train/kl")
        np.testing.assert_allclose(line.get_ydata(), over_seeds(run, "train/kl")[1])
        assert len(fig.axes[0].collections) == (seeds > 1)


def test_metrics_without_a_number_are_left_out_and_one_seed_that_fails_does_not_poison_the_mean() -> None:
    table = metrics(3)
    table["train/kl"] = np.full_like(table["train/kl"], np.nan)
    table["eval/hold"] = np.where(table["seed"] == 1, np.nan, table["eval/hold"])
    run = Curves("a", columns_of(table))
    assert "train/kl" not in training.default_metrics([run])
    assert np.isfinite(over_seeds(run, "eval/hold")[1]).all()
    assert over_seeds(run, "eval/hold")[4] == 2


def test_cells_that_are_no_numbers_are_gaps() -> None:
    columns = columns_of({"total_steps": ["1", "2"], "seed": [0, 0], "eval/hold": ["", "0.5"]})
    steps, mean, *_ = over_seeds(Curves("a", columns), "eval/hold")
    assert (list(steps), list(mean)) == ([2.0], [0.5])


def test_several_runs_have_a_line_each_and_a_name_in_the_legend() -> None:
    runs = [Curves(f"ppo.lr={level}", columns_of(metrics(level=level))) for level in (0.0, -40.0, -80.0)]
    fig = training.draw(runs)
    assert len(by_gid(fig, "mean:eval/return_mean")) == 3
    labels = [text.get_text() for text in fig.legends[0].get_texts()]
    assert all(any(run.label in label for label in labels) for run in runs)
    colours = [line.get_color() for line in by_gid(fig, "mean:eval/return_mean")]
    assert len(set(colours)) == 3


@pytest.mark.parametrize(("seeds", "updates", "runs"), [(1, 1, 1), (5, 1, 1), (1, 20, 1), (3, 10, 10)])
def test_no_label_covers_another_or_leaves_the_picture(seeds: int, updates: int, runs: int) -> None:
    curves = [Curves(f"run {index} of a long sweep", columns_of(metrics(seeds, updates))) for index in range(runs)]
    fig = training.draw(curves)
    assert covered(fig) == []
    assert clipped(fig) == []


def test_a_metric_that_no_run_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(RexError, match="eval/hold"):
        training.draw([Curves("a", columns_of(metrics()))], metrics=["eval/hlod"])
    with pytest.raises(RexError, match="no metric"):
        training.draw([Curves("a", {"seed": np.zeros(2), "total_steps": np.arange(2.0)})])
