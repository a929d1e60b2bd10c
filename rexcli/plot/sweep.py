"""Draws a metric of a sweep over the keys that were swept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from rexcli.errors import RexError, suggest
from rexcli.plot import style
from rexcli.plot.registry import Options, Picture, View
from rexcli.plot.training import TITLES, to_number

BOOKKEEPING = ("job", "number", "run", "path", "status", "error", "reason", "seconds", "exit_code")
PREFERRED = ("hold", "eval/hold", "hold_median", "return mean", "return_mean", "eval/return_mean", "return", "steps/s")


class Sweep(Picture):
    needs = ("sweep.csv",)

    def render(self, view: View, options: Options) -> Figure:
        rows = rows_of(view.csv("sweep.csv"))
        return draw(rows, swept=_swept(rows, view.config), keys=options.keys, metrics=options.metrics)


def rows_of(columns: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Converts columns `[rows]` of a table to its rows."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _swept(rows: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> list[str]:
    """Returns the columns that are keys of the config; the others are results."""
    names = list(rows[0]) if rows else []
    return [name for name in names if name not in BOOKKEEPING and (_is_key(name, config) or _looks_like_key(name))]


def _is_key(name: str, config: Mapping[str, Any]) -> bool:
    here: Any = config
    for part in name.split("."):
        if not isinstance(here, Mapping) or part not in here:
            return False
        here = here[part]
    return True


def _looks_like_key(name: str) -> bool:
    return "/" not in name and ("." in name or name in ("conf", "seed", "ppo", "supervisor", "clock"))


@style.styled
def draw(
    rows: Sequence[Mapping[str, Any]],
    *,
    swept: Sequence[str],
    keys: Sequence[str] = (),
    metrics: Sequence[str] = (),
) -> Figure:
    """Draws a row of panels per metric, one per swept key: a dot per job, and a line through each value's mean.

    A result that is a list, such as the return of each seed, has a dot for every number in it.

    Numeric keys have an axis of numbers, logarithmic if the values are spaced by ratios; others are categories, with a
    dash at the mean. Of two swept keys, the one with more values is the axis, and each value of the other is a line.

    Args:
        rows: the table of the sweep, one row per job, with values as text or numbers.
        swept: the columns that were swept.
        keys: the swept keys to show; default: all, four at most.
        metrics: the columns to show over them; default: one that says how good a policy is.

    Raises:
        RexError: the table lacks a key or metric, or the sweep has no results.
    """
    keys, other, metrics = _chosen(rows, swept, keys, metrics)
    fig = style.figure(min(style.WIDTH, 2.2 + 3.7 * len(keys)), 2.7 * len(metrics) + 0.6)
    grid = fig.subplots(len(metrics), len(keys), squeeze=False, sharey="row")
    handles: dict[str, Line2D] = {}
    for line, metric in zip(grid, metrics, strict=True):
        for axes, key in zip(line, keys, strict=True):
            for handle in _panel(axes, rows, key, metric, other):
                handles.setdefault(str(handle.get_label()), handle)
            axes.set_xlabel(key)
        style.thousands(line[0].yaxis)
        line[0].set_ylabel(TITLES.get(metric, ("", metric.replace("_", " ")))[1])
    failed = sum(str(row.get("status", "done")) not in ("done", "") for row in rows)
    if failed:
        noun = "job" if len(rows) == 1 else "jobs"
        fig.suptitle(f"{failed} of {len(rows)} {noun} did not finish", fontsize=style.NORMAL, x=0.01, ha="left")
    style.legend_below(fig, handles.values())
    return fig


def _chosen(
    rows: Sequence[Mapping[str, Any]], swept: Sequence[str], keys: Sequence[str], metrics: Sequence[str]
) -> tuple[list[str], str | None, list[str]]:
    """Returns the keys that get an axis, the key whose values are lines, and the metrics; see `draw`."""
    names = list(rows[0]) if rows else []
    for name in [*keys, *metrics]:
        if name not in names:
            raise RexError(f"column '{name}' is not in sweep.csv{suggest(name, names)}")

    def count(name: str) -> int:
        return len({str(row[name]) for row in rows})

    results = [name for name in names if name not in swept and name not in BOOKKEEPING]
    numeric = [name for name in results if any(numbers_of(row[name]) for row in rows)]
    telling = [name for name in numeric if count(name) > 1] or numeric
    keys = list(keys) or [key for key in swept if count(key) > 1][:4] or list(swept)[:1]
    metrics = list(metrics) or [name for name in PREFERRED if name in telling][:1] or telling[:1]
    if not keys or not metrics:
        raise RexError("sweep.csv has no swept key with a numeric result to draw; did all jobs fail?")
    if len(keys) == 2:
        along, across = sorted(keys, key=count, reverse=True)
        if count(across) <= len(style.CYCLE):
            return [along], across, metrics
    return keys, None, metrics


def _panel(axes: Axes, rows: Sequence[Mapping[str, Any]], key: str, metric: str, other: str | None) -> list[Line2D]:
    place = _axis(axes, [row[key] for row in rows])
    ordered = bool(np.isfinite([to_number(text) for text in place]).all())
    values = _in_order([str(row[other]) for row in rows]) if other else []
    groups = values if 1 < len(values) <= len(style.CYCLE) else [""]
    handles = []
    for index, group in enumerate(groups):
        colour = style.CYCLE[index]
        own = [row for row in rows if group in ("", str(row[other]) if other else "")]
        points = [(place[str(row[key])], number) for row in own for number in numbers_of(row[metric])]
        x, y = np.asarray(points).reshape(-1, 2).T
        if not len(x):
            continue
        dots = axes.plot(x, y, linestyle="none", marker="o", markersize=4.5, color=colour, alpha=0.65)[0]
        dots.set_gid(f"jobs:{key}:{metric}")
        at = np.unique(x)
        means = [y[x == value].mean() for value in at]
        if ordered:
            axes.plot(at, means, color=colour, linewidth=1.5)
        else:
            axes.plot(at, means, color=colour, linestyle="none", marker="_", markersize=18, markeredgewidth=1.8)
        if group:
            handles.append(Line2D([], [], color=colour, marker="o", markersize=4.5, label=f"{other} = {group}"))
    if not handles:
        handles.append(
            Line2D([], [], color=style.CYCLE[0], linestyle="none", marker="o", markersize=4.5, label="a job")
        )
        handles.append(Line2D([], [], color=style.CYCLE[0], label="mean"))
    return handles


def numbers_of(value: Any) -> list[float]:
    """Returns the finite numbers in a cell: one, or all of a list, which sweep.csv holds as JSON (`[1.5, 2.0]`)."""
    try:
        items = json.loads(value) if isinstance(value, str) and value.startswith("[") else [value]
    except ValueError:
        return []
    return [number for number in map(to_number, items) if np.isfinite(number)]


def _in_order(values: Sequence[str]) -> list[str]:
    """Returns the different values, sorted if they are numbers, else as they come."""
    different = list(dict.fromkeys(values))
    numbers = [to_number(value) for value in different]
    return (
        [value for _, value in sorted(zip(numbers, different, strict=True))]
        if np.isfinite(numbers).all()
        else different
    )


def _axis(axes: Axes, values: Sequence[Any]) -> dict[str, float]:
    """Sets up the x axis for a key's values, and returns the place of each."""
    texts = _in_order([str(value) for value in values])
    numbers = np.asarray([to_number(text) for text in texts])
    if not np.isfinite(numbers).all():
        axes.set_xticks(range(len(texts)), [style.shorten(text, 1.5, style.SMALL) for text in texts])
        if sum(style.text_size(text, style.SMALL)[0] + 0.15 for text in texts) > 3.0:
            for label in axes.get_xticklabels():
                label.set(rotation=30, ha="right", rotation_mode="anchor")
        axes.set_xlim(-0.5, len(texts) - 0.5)
        return {text: float(index) for index, text in enumerate(texts)}
    if (numbers > 0).all() and _spans_decades(numbers):
        axes.set_xscale("log")
        axes.margins(x=0.08)
    axes.xaxis.set_minor_formatter(NullFormatter())
    if len(texts) <= 6 and not _crowded(axes, numbers):
        axes.set_xticks(numbers, [f"{value:g}" for value in numbers])
        axes.set_xticks([], minor=True)
    else:
        if axes.get_xscale() == "linear":
            axes.locator_params(axis="x", nbins=6)
        else:
            axes.xaxis.set_major_locator(LogLocator(numticks=5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    return dict(zip(texts, (float(value) for value in numbers), strict=True))


def _spans_decades(numbers: np.ndarray) -> bool:
    """Returns whether a log scale fits better: over two decades, or over one with values that lie nearer to it."""
    if numbers.max() >= 100 * numbers.min():
        return True
    if len(numbers) < 3 or numbers.max() < 8 * numbers.min():
        return False
    linear, ratios = np.diff(numbers), np.diff(np.log(numbers))
    return bool(ratios.std() / ratios.mean() < linear.std() / linear.mean())


def _crowded(axes: Axes, numbers: np.ndarray) -> bool:
    """Returns whether labels at the numbers themselves would touch on an axis of about three inches."""
    if len(numbers) < 2:
        return False
    places = np.log(numbers) if axes.get_xscale() == "log" else numbers
    share = np.diff(places) / max(float(np.ptp(places)), 1e-300)
    widths = [style.text_size(f"{value:g}", style.SMALL)[0] for value in numbers]
    return any(2.6 * gap < (a + b) / 2 + 0.12 for gap, a, b in zip(share, widths, widths[1:], strict=False))
