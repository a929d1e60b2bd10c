"""Draws the age of what steps read and the lateness of steps: the effect of delays on a system, in two panels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rexcli.errors import RexError
from rexcli.plot import style
from rexcli.plot.declared import Declared
from rexcli.plot.registry import Options, Picture, View
from rexcli.timeline.phases import phases
from rexcli.timeline.schedule import scheduled
from rexcli.timeline.spec import NANOSECONDS, NEVER, EdgeTiming
from rexcli.timeline.timeline import Timeline


class Ages(Picture):
    needs = ("timeline.npz|recording.mcap",)

    def render(self, view: View, options: Options) -> Figure:
        return draw(view.timeline(), Declared.of(view, options.group))


def message_ages(timeline: Timeline, edge: EdgeTiming) -> np.ndarray:
    """Returns the age of the newest message that each step sees at its start, s, `[steps that see one]`."""
    newest = timeline.window(edge, 1)[..., 0]
    starts, ends = timeline.steps[edge.target].start, timeline.steps[edge.source].end
    sent = np.take_along_axis(ends, np.maximum(newest, 0), axis=1) if ends.shape[1] else np.zeros_like(starts)
    return (starts - sent)[(newest >= 0) & (starts < NEVER)] / NANOSECONDS


def lateness(timeline: Timeline, name: str) -> np.ndarray:
    """Returns the time from a step's schedule to its start, s, `[steps]`; negative if it is early (`advance`)."""
    steps, node = timeline.steps[name], timeline.spec.node(name)
    due = scheduled(node.rate, phases(timeline.spec)[name], steps.start.shape[1])
    return (steps.start - due)[steps.start < NEVER] / NANOSECONDS


@style.styled
def draw(timeline: Timeline, declared: Declared) -> Figure:
    """Draws boxes from the 25th to the 75th percentile, whiskers from the 5th to the 95th, the median and the maximum.

    Nodes that are drawn as one share a row with all their values, and so do the edges between them.
    """
    names = declared.rows(list(timeline.steps))
    if not names:
        raise RexError("the timeline has no nodes, so nothing has an age")
    edges = timeline.spec.edges
    ages = [message_ages(timeline, edge) for edge in edges]
    seen = pooled(_edge_titles(edges, declared), ages, [declared.colour(edge.source) for edge in edges])
    late = pooled(
        [declared.label(name) for name in names],
        [lateness(timeline, name) for name in names],
        [declared.colour(name) for name in names],
    )
    heights = [0.27 * max(1, len(seen[0])) + 0.2] * (len(edges) > 0) + [0.27 * len(late[0]) + 0.2]
    fig = style.figure(style.WIDTH, sum(heights) + 1.2 * len(heights) + 0.3)
    grid = np.atleast_1d(fig.subplots(len(heights), 1, height_ratios=heights))
    if edges:
        _boxes(grid[0], *seen, nothing="none read")
        style.tidy(grid[0], title="How old the newest message is that a step sees", x="age (ms)")
    _boxes(grid[-1], *late, nothing="no steps")
    style.tidy(grid[-1], title="How late steps start", x="start after schedule (ms)")
    style.legend_below(
        fig,
        [
            Patch(facecolor=style.FAINT, edgecolor=style.QUIET, label="25 to 75 %, median"),
            Line2D([], [], color=style.QUIET, label="5 to 95 %"),
            Line2D([], [], color=style.QUIET, marker="o", markersize=3.5, linestyle="none", label="maximum"),
        ],
    )
    return fig


def pooled(
    titles: Sequence[str], values: Sequence[np.ndarray], colours: Sequence[str]
) -> tuple[list[str], list[np.ndarray], list[str]]:
    """Pools the values with the same title, with the colour of the first."""
    places: dict[str, list[int]] = {}
    for place, title in enumerate(titles):
        places.setdefault(title, []).append(place)
    joined = [np.concatenate([values[place] for place in some]) for some in places.values()]
    return list(places), joined, [colours[some[0]] for some in places.values()]


def _edge_titles(edges: Sequence[EdgeTiming], declared: Declared) -> list[str]:
    ends = [(edge.source, edge.target) for edge in edges]
    if declared.groups:
        return [" → ".join(map(declared.label, pair)) for pair in ends]
    return [edge.name if ends.count(pair) > 1 else " → ".join(pair) for edge, pair in zip(edges, ends, strict=True)]


def _boxes(
    axes: Axes, titles: Sequence[str], values: Sequence[np.ndarray], colours: Sequence[str], *, nothing: str
) -> None:
    for row, (seconds, colour) in enumerate(zip(values, colours, strict=True)):
        if not len(seconds):
            axes.text(
                0.01,
                row,
                nothing,
                transform=axes.get_yaxis_transform(),
                va="center",
                fontsize=style.SMALL,
            )
            continue
        low, first, median, third, high = np.percentile(seconds, [5, 25, 50, 75, 95]) * 1e3
        axes.plot([low, high], [row, row], color=colour, linewidth=1.4, zorder=2)
        axes.barh(
            row,
            third - first,
            left=first,
            height=0.56,
            color=style.tint(colour, 0.4),
            edgecolor=colour,
            zorder=3,
        )
        line = axes.plot([median, median], [row - 0.28, row + 0.28], color=colour, linewidth=2.4, zorder=4)[0]
        line.set_gid(f"median:{titles[row]}")
        axes.plot([seconds.max() * 1e3], [row], marker="o", markersize=3.5, color=colour, zorder=4)
    axes.set_yticks(range(len(titles)), [style.shorten(title, 3.0, style.SMALL) for title in titles])
    axes.set_ylim(len(titles) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    low, high = axes.get_xlim()
    high = max(high, 1e-3)
    axes.set_xlim(min(low, -0.008 * high), high)
