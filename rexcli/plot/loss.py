"""Draws the loss of identifications over the episodes that they simulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from rexcli.errors import RexError
from rexcli.plot import style
from rexcli.plot.labels import run_labels
from rexcli.plot.registry import Options, Picture, View
from rexcli.plot.training import to_number


@dataclass(frozen=True)
class Curve:
    """The loss curve of one run: its label and, per evaluation, episodes simulated so far, least loss so far, stage."""

    label: str
    rollouts: np.ndarray
    loss: np.ndarray
    stage: Sequence[str]


class Loss(Picture):
    needs = ("loss.csv",)
    overlays = True

    def render(self, views: Sequence[View], options: Options) -> Figure:
        curves = []
        for label, view in zip(run_labels(views), views, strict=True):
            table = view.csv("loss.csv")
            rollouts, loss = (np.array([to_number(cell) for cell in table[name]]) for name in ("rollouts", "loss"))
            curves.append(Curve(label, rollouts, loss, list(table["stage"])))
        return draw(curves)


@style.styled
def draw(curves: Sequence[Curve]) -> Figure:
    """Draws one line per run.

    A dotted line marks where signals were weighted anew, which changes what the loss is.

    Raises:
        RexError: no run has a loss above 0.
    """
    fig = style.figure(style.WIDTH, 3.0)
    axes = fig.subplots()
    shown = [curve for curve in curves if (np.isfinite(curve.loss) & (curve.loss > 0)).any()]
    if not shown:
        raise RexError("loss.csv has no finite loss above 0, so there is no curve to draw")
    for index, curve in enumerate(shown):
        good = np.isfinite(curve.loss) & (curve.loss > 0)
        colour = style.colour(None, index)
        marker = "o" if good.sum() < 40 else None
        axes.plot(
            curve.rollouts[good], curve.loss[good], color=colour, marker=marker, markersize=2.5, label=curve.label
        )
        for before, after, rollouts in zip(curve.stage[:-1], curve.stage[1:], curve.rollouts[:-1], strict=True):
            if before != after:
                axes.axvline(rollouts, color=colour, linewidth=1.0, linestyle=(0, (1, 2)))
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    style.thousands(axes.xaxis)
    style.tidy(axes, title="Loss", y="mean square of errors (deviation²)")
    axes.set_xlabel("episodes simulated; dotted: signals weighed anew")
    if len(shown) > 1:
        axes.legend()
    return fig
