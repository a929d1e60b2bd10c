"""Delays as they were, against the densities that were declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rexcli.errors import RexError
from rexcli.plot import density as declared_density
from rexcli.plot import style
from rexcli.plot.declared import Declared
from rexcli.plot.registry import Options, Picture, View
from rexcli.timeline.spec import NANOSECONDS, NEVER
from rexcli.timeline.timeline import Timeline

FOLDED = 0.001
"""The least share below 0 that is worth a stem."""
MOST = 200_000
"""Delays in a histogram at most; more are thinned evenly."""


@dataclass(frozen=True)
class Delays:
    """The delays of one node or edge.

    Attributes:
        title: what they are delays of.
        colour: hex.
        seconds: as they were, `[n]`.
        declared: as in the config: seconds or a `_target_` mapping.
        expected: s; None where it is not known.
        curve: `(x, density)` in s and 1/s, instead of what follows from `declared`.
    """

    title: str
    colour: str
    seconds: np.ndarray
    declared: Any
    expected: float | None
    curve: tuple[np.ndarray, np.ndarray] | None = None


class DelayHistograms(Picture):
    needs = ("timeline.npz|recording.mcap",)

    def render(self, view: View, options: Options) -> Figure:
        curves = view.arrays("delays.npz") if view.has("delays.npz") else {}
        return draw(gather(view.timeline(), Declared.of(view), curves), max_panels=2 * options.max_rows)


def gather(timeline: Timeline, declared: Declared, curves: Mapping[str, np.ndarray] | None = None) -> list[Delays]:
    """The delays in a timeline, of nodes first.

    An edge's delay is from when a message is sent to when it arrives; waiting behind an earlier message counts.

    Args:
        timeline: all its episodes count.
        declared: delays and colours.
        curves: declared densities as arrays `<kind>/<name>/x` (s) and `<kind>/<name>/density` (1/s).
    """
    curves = {} if curves is None else curves
    by_node = {node.name: node for node in declared.nodes}
    by_edge = {edge.name: edge for edge in declared.edges}
    found = []
    for name in declared.rows(list(timeline.steps)):
        steps, node = timeline.steps[name], timeline.spec.node(name)
        seconds = (steps.end - steps.start)[steps.start < NEVER] / NANOSECONDS
        delay = by_node[name].delay if name in by_node else None
        found.append(
            Delays(f"{name} computes", declared.colour(name), seconds, delay, node.expected_delay / NANOSECONDS)
        )
        found[-1] = replace(found[-1], curve=_curve(curves, "node", name))
    for edge in timeline.spec.edges:
        arrive, sent = timeline.messages[edge.name].arrive, timeline.steps[edge.source].end
        seconds = (arrive - sent)[(arrive < NEVER) & (sent < NEVER)] / NANOSECONDS
        delay = by_edge[edge.name].delay if edge.name in by_edge else None
        twins = sum((other.source, other.target) == (edge.source, edge.target) for other in timeline.spec.edges)
        title = edge.name if twins > 1 else f"{edge.source} → {edge.target}"
        expected = edge.expected_delay / NANOSECONDS
        curve = _curve(curves, "edge", edge.name)
        found.append(Delays(title, declared.colour(edge.source), seconds, delay, expected, curve))
    return found


def _curve(curves: Mapping[str, np.ndarray], kind: str, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    keys = (f"{kind}/{name}/x", f"{kind}/{name}/density")
    if any(key not in curves for key in keys):
        return None
    x, values = (np.asarray(curves[key], np.float64) for key in keys)
    return (x, values) if x.ndim == 1 and x.shape == values.shape and len(x) > 1 else None


@style.styled
def draw(delays: list[Delays], *, max_panels: int = 24) -> Figure:
    """One panel each: a histogram, the declared density, the expected delay; what is below 0 counts as 0.

    The share of a density below 0 is said and shown as a stem at 0. Constants, declared or recorded, are stems.

    Args:
        delays: what to draw, see `gather`.
        max_panels: those that vary come first; what does not fit is said below.
    """
    if not delays:
        raise RexError("there are no delays to draw: the timeline has no nodes")
    shown = delays
    if len(delays) > max_panels:
        varied = sorted(delays, key=lambda entry: float(np.ptp(entry.seconds)) <= 1e-9 if len(entry.seconds) else True)
        keep = {id(entry) for entry in varied[:max_panels]}
        shown = [entry for entry in delays if id(entry) in keep]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    fig = style.figure(style.WIDTH if columns > 1 else 5.0, 1.85 * rows + 0.75)
    grid = np.atleast_1d(fig.subplots(rows, columns, squeeze=False)).ravel()
    width = fig.get_figwidth() / columns - 0.5
    for axes, entry in zip(grid, shown, strict=False):
        _panel(axes, entry, width)
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    for axes in grid[max(0, len(shown) - columns) : len(shown)]:
        axes.set_xlabel("delay (ms)")
    fig.supylabel("density (1/ms)", fontsize=style.NORMAL)
    curves = [curve for entry in shown if (curve := _declared_curve(entry)) is not None]
    folded = " (stem at 0: what is below 0)" if any(_share_below(curve) >= FOLDED for curve in curves) else ""
    handles: list[Line2D | Patch] = [
        Patch(facecolor=style.FAINT, label="as it was"),
        Line2D([], [], color=style.INK, label=f"as declared{folded}"),
        Line2D([], [], color=style.INK, linestyle=(0, (2, 2)), linewidth=1.1, label="expected"),
    ]
    if len(shown) < len(delays):
        handles.append(Patch(alpha=0, label=f"{len(delays) - len(shown)} more not shown"))
    style.legend_below(fig, handles)
    return fig


def _panel(axes: Axes, entry: Delays, width: float) -> None:
    recorded = entry.seconds[:: max(1, len(entry.seconds) // MOST)] * 1e3
    axes.set_title(style.shorten(entry.title, width, style.NORMAL, "bold"), fontsize=style.NORMAL)
    constant = None if entry.curve is not None else declared_density.constant(entry.declared)
    curve = _declared_curve(entry)
    low, high = _limits(entry, recorded, constant, curve)
    varies = len(recorded) > 1 and float(np.ptp(recorded)) > 1e-6
    if varies:
        bins = list(np.linspace(low, high, 41))
        axes.hist(recorded, bins=bins, density=True, color=style.tint(entry.colour, 0.45), zorder=2)
    top = axes.get_ylim()[1] if varies else 1.0
    if curve is not None:
        x, values = curve
        axes.plot(x[x >= 0] * 1e3, values[x >= 0] / 1e3, color=style.INK, linewidth=1.4, zorder=4)
        below = _share_below(curve)
        top = max(top, float(values[x >= 0].max() / 1e3) * 1.08)
        if below >= FOLDED:
            axes.plot(
                [0, 0],
                [0, top * 0.9],
                color=style.INK,
                linewidth=2.4,
                solid_capstyle="butt",
                zorder=4,
                clip_on=False,
            )
            _note(axes, f"{below:.1%} at 0")
        if not varies and len(recorded):
            _stem(axes, float(recorded[0]), top, entry.colour)
    elif constant is not None:
        if not varies and len(recorded):
            _stem(axes, float(recorded[0]), top, entry.colour)
        axes.plot([constant * 1e3] * 2, [0, top * 0.93], color=style.INK, linewidth=1.4, zorder=4)
        _note(axes, f"constant {declared_density.describe(entry.declared)}")
    else:
        if not varies and len(recorded):
            _stem(axes, float(recorded[0]), top, entry.colour)
        if entry.declared is not None:
            _note(axes, f"declared {declared_density.family(entry.declared)}")
    if entry.expected is not None:
        line = axes.axvline(entry.expected * 1e3, color=style.INK, linestyle=(0, (2, 2)), linewidth=1.1, zorder=5)
        line.set_gid("expected")
    axes.set_xlim(low, high)
    axes.set_ylim(0, top * 1.12)
    if not varies and curve is None:
        axes.set_yticks([])
    else:
        axes.locator_params(axis="y", nbins=4)
    axes.locator_params(axis="x", nbins=5)


def _stem(axes: Axes, at: float, top: float, colour: str) -> None:
    axes.plot(
        [at, at],
        [0, top * 0.93],
        color=style.tint(colour, 0.45),
        linewidth=7,
        solid_capstyle="butt",
        zorder=2,
    )


def _note(axes: Axes, text: str) -> None:
    """A few words in the corner, on white, so that what is behind does not make them unreadable."""
    axes.text(
        0.98,
        0.96,
        text,
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=style.SMALL,
        zorder=6,
        bbox={"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
    )


def _declared_curve(entry: Delays) -> tuple[np.ndarray, np.ndarray] | None:
    if entry.curve is not None:
        return entry.curve
    limits = declared_density.span(entry.declared)
    if limits is None:
        return None
    width = limits[1] - limits[0]
    x = np.linspace(limits[0] - 0.02 * width, limits[1] + 0.02 * width, 1201)
    values = declared_density.density(entry.declared, x)
    return None if values is None else (x, values)


def _share_below(curve: tuple[np.ndarray, np.ndarray]) -> float:
    x, values = curve
    if x[0] >= 0:
        return 0.0
    below = np.append(x[x < 0], 0.0)
    return float(np.trapezoid(np.interp(below, x, values), below))


def _limits(
    entry: Delays, recorded: np.ndarray, constant: float | None, curve: tuple[np.ndarray, np.ndarray] | None
) -> tuple[float, float]:
    """From 0 or a little below the least to a little above the greatest of what is drawn, ms."""
    values = [value * 1e3 for value in (entry.expected, constant) if value is not None]
    if len(recorded):
        values += [float(recorded.min()), float(recorded.max())]
    if curve is not None:
        x, heights = curve
        tall = x[heights > 0.004 * heights.max()] * 1e3
        values += [max(0.0, float(tall.min())), float(tall.max())]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low < 0.02 * max(high, 1e-3):
        return max(0.0, 0.5 * low) if low > 0 else 0.0, max(1.5 * high, 1.0)
    low = 0.0 if low < 0.5 * high else low - 0.05 * (high - low)
    return low, high + 0.04 * (high - low)
