"""Draws how late steps started on the wall clock: a histogram per node of the time from when a step may start."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from rexcli.errors import RexError
from rexcli.plot import style
from rexcli.plot.declared import Declared
from rexcli.plot.registry import Options, Picture, View

SMALLEST = 1e-6
"""Seconds; shorter times are drawn as this on the logarithmic axis."""
BINS_A_DECADE = 12


class Lateness(Picture):
    needs = ("lateness.npz",)

    def render(self, view: View, options: Options) -> Figure:
        return draw(view.arrays("lateness.npz"), Declared.from_config(view.config))


@style.styled
def draw(lateness: Mapping[str, np.ndarray], declared: Declared) -> Figure:
    """Draws one row per node.

    Args:
        lateness: lateness of steps by node, ns, `[ticks]`.
        declared: gives the colours and the order of the nodes.
    """
    names = [name for name in declared.rows(list(lateness)) if len(lateness[name])]
    if not names:
        raise RexError("lateness.npz: no step was made, so none was late")
    seconds = {name: np.maximum(lateness[name] / 1e9, SMALLEST) for name in names}
    low = np.floor(np.log10(min(values.min() for values in seconds.values())))
    high = max(np.ceil(np.log10(max(values.max() for values in seconds.values()))), low + 1)
    edges = np.logspace(low, high, round((high - low) * BINS_A_DECADE) + 1)
    fig = style.figure(style.WIDTH, 0.72 * len(names) + 1.2)
    grid = np.atleast_1d(fig.subplots(len(names), 1, sharex=True))
    for axes, name in zip(grid, names, strict=True):
        values, colour = seconds[name], declared.colour(name)
        share = np.histogram(values, edges)[0] / len(values)
        axes.stairs(share, edges, fill=True, color=style.tint(colour, 0.55), edgecolor=colour)
        p50, p99 = np.percentile(values, [50, 99])
        axes.axvline(p50, color=style.INK, linewidth=1.2).set_gid(f"median:{name}")
        axes.axvline(p99, color=style.INK, linewidth=1.2, linestyle=(0, (2, 2))).set_gid(f"p99:{name}")
        axes.plot([values.max()], [0], marker="o", markersize=4, color=style.INK, clip_on=False, zorder=5)
        axes.set_xscale("log")
        axes.set_ylim(0, max(share.max(), 1e-9) * 1.05)
        axes.set_yticks([])
        axes.grid(visible=False, axis="y")
        title = style.shorten(name, 1.6, style.NORMAL)
        axes.set_ylabel(title, rotation=0, ha="right", va="center")
    grid[0].set_title("How late steps started")
    grid[-1].set_xlabel("start after the rules allow it (ms)")
    grid[-1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 1e3:,.10g}"))
    style.legend_below(
        fig,
        [
            Line2D([], [], color=style.INK, linewidth=1.2, label="median"),
            Line2D([], [], color=style.INK, linewidth=1.2, linestyle=(0, (2, 2)), label="99 %"),
            Line2D([], [], color=style.INK, marker="o", markersize=4, linestyle="none", label="maximum"),
        ],
    )
    return fig
