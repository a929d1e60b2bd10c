"""Draws measured delays with their declared densities."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rexcli.errors import RexError
from rexcli.plot import style
from rexcli.plot.declared import Curve, Declared, EdgeLook, NodeLook, constant, describe
from rexcli.plot.registry import Options, Picture, View
from rexcli.timeline.message_outcomes import count_losses, message_outcomes
from rexcli.timeline.spec import NANOSECONDS, NEVER
from rexcli.timeline.timeline import Timeline

FOLDED = 0.001
"""The least share below 0 that is drawn as a stem."""
MOST = 200_000
"""Most delays in a histogram; more are thinned evenly."""


@dataclass(frozen=True)
class Delays:
    """The delays of one node or edge.

    Attributes:
        title: the node or edge that has the delays.
        colour: colour as hex.
        seconds: the measured delays, `[n]`.
        declared: the node or edge as declared; None if it is not declared.
        expected: the expected delay, s.
    """

    title: str
    colour: str
    seconds: np.ndarray
    declared: NodeLook | EdgeLook | None
    expected: float

    @property
    def curve(self) -> Curve | None:
        """The declared density."""
        return None if self.declared is None else self.declared.curve

    @property
    def constant(self) -> float | None:
        """The declared delay, s, if it is constant."""
        return None if self.declared is None or self.curve is not None else constant(self.declared.delay)


class DelayHistograms(Picture):
    needs = ("timeline.npz|recording.mcap",)

    def render(self, view: View, options: Options) -> Figure:
        return draw(gather(view.timeline(), Declared.of(view, options.group)), max_panels=2 * options.max_rows)


def gather(timeline: Timeline, declared: Declared) -> list[Delays]:
    """Returns the delays in all episodes of a timeline, first of nodes, then of edges.

    An edge's delay lasts from when a message is sent to when it arrives, including waiting for an earlier message.
    """
    nodes = {node.name: node for node in declared.nodes}
    edges = {edge.name: edge for edge in declared.edges}
    found = []
    for name in declared.rows(list(timeline.steps)):
        steps, expected = timeline.steps[name], timeline.spec.node(name).expected_delay / NANOSECONDS
        seconds = (steps.end - steps.start)[steps.start < NEVER] / NANOSECONDS
        found.append(
            Delays(f"{declared.label(name)} computes", declared.colour(name), seconds, nodes.get(name), expected)
        )
    ends = [(edge.source, edge.target) for edge in timeline.spec.edges]
    for edge, pair in zip(timeline.spec.edges, ends, strict=True):
        arrive, sent = timeline.messages[edge.name].arrive, timeline.steps[edge.source].end
        seconds = (arrive - sent)[(arrive < NEVER) & (sent < NEVER)] / NANOSECONDS
        title = edge.name if ends.count(pair) > 1 else " → ".join(pair)
        if declared.groups:
            title = " → ".join(map(declared.label, pair))
        lost, _ = (0.0, 0.0) if declared.groups else count_losses(*message_outcomes(timeline, edge).known())
        title += f", {lost:.1%} lost" if lost else ""
        expected = edge.expected_delay / NANOSECONDS
        found.append(Delays(title, declared.colour(edge.source), seconds, edges.get(edge.name), expected))
    return _pooled(found) if declared.groups else found


def _pooled(delays: list[Delays]) -> list[Delays]:
    """Pools delays with the same title in one panel, with the declaration of the first."""
    alike: dict[str, list[Delays]] = {}
    for entry in delays:
        alike.setdefault(entry.title, []).append(entry)
    return [replace(some[0], seconds=np.concatenate([entry.seconds for entry in some])) for some in alike.values()]


@style.styled
def draw(delays: list[Delays], *, max_panels: int = 24) -> Figure:
    """Draws a panel for each: a histogram, the declared density, the expected delay.

    Delays below 0 count as 0: their share of a density is written down and drawn as a stem at 0. Constants are stems,
    too.

    Args:
        delays: the delays to draw, see `gather`.
        max_panels: largest number of panels; delays that vary come first, and those left out are named below.
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
    folded = any(entry.curve is not None and entry.curve.at_zero >= FOLDED for entry in shown)
    handles: list[Line2D | Patch] = [
        Patch(facecolor=style.FAINT, label="as it was"),
        Line2D([], [], color=style.INK, label="as declared (stem at 0: what is below 0)" if folded else "as declared"),
        Line2D([], [], color=style.INK, linestyle=(0, (2, 2)), linewidth=1.1, label="expected"),
    ]
    if len(shown) < len(delays):
        handles.append(Patch(alpha=0, label=f"{len(delays) - len(shown)} more not shown"))
    style.legend_below(fig, handles)
    return fig


def _panel(axes: Axes, entry: Delays, width: float) -> None:
    recorded = entry.seconds[:: max(1, len(entry.seconds) // MOST)] * 1e3
    axes.set_title(style.shorten(entry.title, width, style.NORMAL, "bold"), fontsize=style.NORMAL)
    low, high = _limits(entry, recorded)
    varies = len(recorded) > 1 and float(np.ptp(recorded)) > 1e-6
    if varies:
        shares, bins = np.histogram(recorded, bins=np.linspace(low, high, 41), density=True)
        bars = axes.stairs(shares, bins, fill=True, color=style.tint(entry.colour, 0.45), zorder=2)
        bars.set_gid("histogram")
    top = axes.get_ylim()[1] if varies else 1.0
    if entry.curve is not None:
        top = max(top, float(entry.curve.density.max() / 1e3) * 1.08)
    if not varies and len(recorded):
        _stem(axes, float(recorded[0]), 0.93 * top, style.tint(entry.colour, 0.45), 7)
    _draw_declared(axes, entry, top)
    line = axes.axvline(entry.expected * 1e3, color=style.INK, linestyle=(0, (2, 2)), linewidth=1.1, zorder=5)
    line.set_gid("expected")
    axes.set_xlim(low, high)
    axes.set_ylim(0, top * 1.12)
    if not varies and entry.curve is None:
        axes.set_yticks([])
    else:
        axes.locator_params(axis="y", nbins=4)
    axes.locator_params(axis="x", nbins=5)


def _draw_declared(axes: Axes, entry: Delays, top: float) -> None:
    """Draws the declared density or constant."""
    if entry.curve is not None:
        axes.plot(entry.curve.x * 1e3, entry.curve.density / 1e3, color=style.INK, linewidth=1.4, zorder=4)
        if entry.curve.at_zero >= FOLDED:
            _stem(axes, 0.0, 0.9 * top, style.INK, 2.4)
            _note(axes, f"{entry.curve.at_zero:.1%} at 0")
    elif entry.constant is not None and entry.declared is not None:
        _stem(axes, entry.constant * 1e3, 0.93 * top, style.INK, 1.4)
        _note(axes, f"constant {describe(entry.declared)}")
    elif entry.declared is not None:
        _note(axes, f"declared {describe(entry.declared)}")


def _stem(axes: Axes, at: float, top: float, colour: str, width: float) -> None:
    axes.plot(
        [at, at],
        [0, top],
        color=colour,
        linewidth=width,
        solid_capstyle="butt",
        zorder=2 if width > 3 else 4,
        clip_on=False,
    )


def _note(axes: Axes, text: str) -> None:
    """Writes a few words in the corner, on white, so that they are readable on any background."""
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


def _limits(entry: Delays, recorded: np.ndarray) -> tuple[float, float]:
    """Returns the limits of the axis, ms, with a little room around what is drawn, beginning at 0 if that is near."""
    values = [value * 1e3 for value in (entry.expected, entry.constant) if value is not None]
    if len(recorded):
        values += [float(recorded.min()), float(recorded.max())]
    if entry.curve is not None:
        tall = entry.curve.x[entry.curve.density > 0.004 * entry.curve.density.max()] * 1e3
        values += [float(tall.min()), float(tall.max())]
    low, high = min(values), max(values)
    if high - low < 0.02 * max(high, 1e-3):
        return max(0.0, 0.5 * low) if low > 0 else 0.0, max(1.5 * high, 1.0)
    low = 0.0 if low < 0.5 * high else low - 0.05 * (high - low)
    return low, high + 0.04 * (high - low)
