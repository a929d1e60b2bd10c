"""Draws training curves: mean and spread over seeds, for one run or several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rexcli.errors import RexError, suggest
from rexcli.plot import style
from rexcli.plot.labels import run_labels
from rexcli.plot.registry import Options, Picture, View

RETURN, LENGTH = "eval/return_mean", "eval/length_mean"
PREFERRED = ("train/kl", "train/entropy", "train/value_loss", "train/explained_variance")
"""Metrics that are shown if they exist, in this order, after the return and the metrics of `eval.metrics`."""
CLOCKS = ("seed", "update", "total_steps", "seconds", "wall_time", "steps_per_second", "time")
TITLES = {
    "eval/return_mean": ("Return", "return of an episode (reward)"),
    "eval/hold": ("Hold", "share of episodes held"),
    "eval/length_mean": ("Length", "length of an episode (steps)"),
    "train/kl": ("KL", "KL to the old policy (nat)"),
    "train/entropy": ("Entropy", "entropy of the policy (nat)"),
    "train/value_loss": ("Value loss", "value loss (1)"),
    "train/policy_loss": ("Policy loss", "policy loss (1)"),
    "train/explained_variance": ("Explained variance", "explained variance (1)"),
    "train/clip_fraction": ("Clipped", "share of samples clipped"),
    "train/return_mean": ("Return in training", "return of an episode (reward)"),
}


@dataclass(frozen=True)
class Curves:
    """The metrics of one run: its label, and columns `[rows]` by name, NaN where a row has no value."""

    label: str
    columns: Mapping[str, np.ndarray]


class Training(Picture):
    needs = ("metrics.csv",)
    overlays = True

    def render(self, views: Sequence[View], options: Options) -> Figure:
        runs = [
            Curves(label, columns_of(view.csv("metrics.csv")))
            for label, view in zip(run_labels(views), views, strict=True)
        ]
        return draw(runs, metrics=options.metrics)


def columns_of(table: Mapping[str, Iterable[Any]]) -> dict[str, np.ndarray]:
    """Returns a table's columns `[rows]` as float64; values that are not numbers become NaN."""
    return {name: np.asarray([to_number(cell) for cell in cells], np.float64) for name, cells in table.items()}


def to_number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


@style.styled
def draw(runs: Sequence[Curves], *, metrics: Sequence[str] = (), max_panels: int = 6) -> Figure:
    """Draws one panel per metric over environment steps: the mean over seeds, and the range of the seeds.

    Args:
        runs: one run or several.
        metrics: columns to show; default: see `default_metrics`.
        max_panels: largest number of panels if `metrics` is not given.

    Raises:
        RexError: no run has a metric.
    """
    there = list(dict.fromkeys(name for run in runs for name in run.columns))
    for name in metrics:
        if name not in there:
            raise RexError(f"metric '{name}' is in no run{suggest(name, there)}")
    shown = list(metrics) or default_metrics(runs)[:max_panels]
    if not shown:
        raise RexError("metrics.csv has no metric with a finite value, so there is no curve to draw")
    columns = min(3, len(shown)) if len(shown) != 4 else 2
    rows = -(-len(shown) // columns)
    fig = style.figure(style.WIDTH if columns > 1 else 5.6, 2.35 * rows + 0.55)
    grid = fig.subplots(rows, columns, squeeze=False).ravel()
    for axes, metric in zip(grid, shown, strict=False):
        for index, run in enumerate(runs):
            _curve(axes, run, metric, index)
        plain = metric.rpartition("/")[2].replace("_", " ")
        title, unit = TITLES.get(metric, (plain.capitalize(), plain))
        style.tidy(axes, title=style.shorten(title, fig.get_figwidth() / columns - 0.7, style.TITLE, "bold"), y=unit)
        _step_axis(axes)
        style.thousands(axes.yaxis)
        if metric.endswith("hold"):
            axes.set_ylim(-0.03, 1.03)
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    for axes in grid[max(0, len(shown) - columns) : len(shown)]:
        axes.set_xlabel("environment steps")
    style.legend_below(fig, _legend(runs))
    return fig


def default_metrics(runs: Sequence[Curves]) -> list[str]:
    """Returns the metrics with a finite value: the return, those of the experiment, the preferred, all others."""
    there = dict.fromkeys(
        name
        for run in runs
        for name, values in run.columns.items()
        if name not in CLOCKS and not name.endswith("_std") and np.isfinite(values).any()
    )
    chosen = [name for name in there if name.startswith("eval/") and name not in (RETURN, LENGTH)]
    first = [name for name in (RETURN, *chosen, *PREFERRED) if name in there]
    return first + [name for name in there if name not in first]


def over_seeds(run: Curves, metric: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Returns steps, mean, least and greatest over seeds, each `[updates]`, and the number of seeds.

    Rows without a finite value are left out.
    """
    values = run.columns.get(metric, np.zeros(0))
    size = len(values)
    clock = next((run.columns[name] for name in ("total_steps", "update") if name in run.columns), np.arange(size))
    seeds = run.columns.get("seed", np.zeros(size))
    good = np.isfinite(values) & np.isfinite(clock)
    steps = np.unique(clock[good])
    groups = [values[good & (clock == step)] for step in steps]
    mean, low, high = (np.asarray([reduce(group) for group in groups]) for reduce in (np.mean, np.min, np.max))
    return steps, mean, low, high, len(np.unique(seeds[good]))


def _line_style(index: int) -> Literal["-", "--"]:
    """Returns the line style: runs beyond the palette use its colours again, dashed."""
    return "--" if index >= len(style.CYCLE) else "-"


def _curve(axes: Axes, run: Curves, metric: str, index: int) -> None:
    steps, mean, low, high, num_seeds = over_seeds(run, metric)
    if not len(steps):
        return
    colour = style.CYCLE[index % len(style.CYCLE)]
    if num_seeds > 1:
        axes.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0, zorder=2)
    marker = "o" if len(steps) <= 3 else None
    line = axes.plot(steps, mean, color=colour, linestyle=_line_style(index), marker=marker, markersize=4, zorder=3)[0]
    line.set_gid(f"mean:{metric}")
    if len(steps) == 1 and num_seeds > 1:
        axes.plot([steps[0]] * 2, [low[0], high[0]], color=colour, alpha=0.5, linewidth=3, zorder=2)


def _step_axis(axes: Axes) -> None:
    axes.locator_params(axis="x", nbins=4)
    axes.xaxis.set_major_formatter(lambda value, _: _short_count(value))


def _short_count(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:g}"


def _legend(runs: Sequence[Curves]) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = []
    counts = [len(np.unique(run.columns.get("seed", np.zeros(1)))) for run in runs]
    for index, (run, seeds) in enumerate(zip(runs, counts, strict=True)):
        what = f"{seeds} seeds" if seeds > 1 else "1 seed"
        label = f"{run.label} ({what})" if len(runs) > 1 else f"mean of {what}" if seeds > 1 else what
        linestyle = _line_style(index)
        label = style.shorten(label, style.WIDTH - 1.0, style.SMALL)
        handles.append(Line2D([], [], color=style.CYCLE[index % len(style.CYCLE)], linestyle=linestyle, label=label))
    if max(counts) > 1:
        handles.append(Patch(facecolor=style.QUIET, alpha=0.3, label="least to greatest seed"))
    return handles
