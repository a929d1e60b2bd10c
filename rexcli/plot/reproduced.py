"""Draws what an identification reproduces: recorded signals, simulated ones, and their errors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rexcli.errors import RexError
from rexcli.plot import style
from rexcli.plot.registry import Options, Picture, View

RECORDED, SIMULATED = style.COLOURS["gray"], style.CYCLE[0]


class Reproduced(Picture):
    needs = ("signals.npz",)

    def render(self, view: View, options: Options) -> Figure:
        return draw(view.arrays("signals.npz"), episode=options.episode, max_rows=options.max_rows)


@style.styled
def draw(signals: Mapping[str, np.ndarray], *, episode: int = 0, max_rows: int = 12) -> Figure:
    """Draws one row per signal; held-out parts are shaded.

    Args:
        signals: `<signal>/time`, `…/episode`, `…/recorded`, `…/simulated`, `…/fitted`, `[values]`.
        episode: the episode to show.
        max_rows: largest number of signals.

    Raises:
        RexError: nothing was compared in that episode.
    """
    names = list(dict.fromkeys(key.rpartition("/")[0] for key in signals))
    names = [name for name in names if (signals[f"{name}/episode"] == episode).any()][:max_rows]
    if not names:
        raise RexError(f"signals.npz: episode {episode} has no value that was compared")
    fig = style.figure(style.WIDTH, 1.55 * len(names) + 0.9)
    grid = np.atleast_1d(fig.subplots(len(names), 1, sharex=True))
    for axes, name in zip(grid, names, strict=True):
        use = signals[f"{name}/episode"] == episode
        time, recorded, simulated, fitted = (
            signals[f"{name}/{column}"][use] for column in ("time", "recorded", "simulated", "fitted")
        )
        fitted = fitted.astype(bool)
        axes.plot(time, recorded, ".", markersize=3.5, color=RECORDED, gid=f"recorded:{name}")
        axes.plot(time, _broken(simulated), color=SIMULATED, linewidth=1.1, gid=f"simulated:{name}")
        if (~fitted).any():
            axes.axvspan(time[~fitted].min(), time.max(), color=style.FAINT, alpha=0.35, linewidth=0)
        style.tidy(axes, title=style.shorten(name, 6.0, style.TITLE, "bold"), y="")
    grid[-1].set_xlabel("time (s)")
    style.legend_below(
        fig,
        [
            Line2D([], [], color=RECORDED, marker=".", linestyle="none", label="recorded"),
            Line2D([], [], color=SIMULATED, label="simulated with what was found"),
            Patch(color=style.FAINT, alpha=0.35, label="held out: of no influence on the estimates"),
        ],
    )
    return fig


def _broken(values: np.ndarray) -> np.ndarray:
    """Breaks a line where a wrapped angle jumps by nearly a turn."""
    jumps = np.flatnonzero(np.abs(np.diff(values)) > 1.5 * np.pi)
    steps = np.abs(np.diff(values))
    if len(jumps) and len(steps) and np.median(steps) < 0.5:
        values = values.astype(float)
        values[jumps] = np.nan
    return values
