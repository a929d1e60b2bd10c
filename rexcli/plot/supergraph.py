"""Draws the compiled program's template: its slots in order, how often each runs, and how partitions fill it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Patch
from matplotlib.ticker import MaxNLocator, MultipleLocator

from rexcli.errors import RexError
from rexcli.plot import style
from rexcli.plot.declared import Declared
from rexcli.plot.registry import Options, Picture, View

TANGLED = 48
"""Number of slots above which a person can no longer follow arrows."""

PARTITIONS = 40
"""Most partitions in the strip."""


class Supergraph(Picture):
    needs = ("program.json",)

    def render(self, view: View, options: Options) -> Figure:
        return draw(view.json("program.json"), Declared.of(view, options.group))


@style.styled
def draw(program: Mapping[str, Any], declared: Declared) -> Figure:
    """Draws a template.

    The upper panel shows the slots in the order in which the program runs them, each in its node's lane. An arrow is a
    dependency; those that follow from others are left out, and all of them with more than `TANGLED` slots. The next
    panel shows the share of partitions in which each slot runs and, if `usage` is known, the last one shows which slots
    the first partitions use.

    Args:
        program: the content of program.json: `mode`, `slots` (`node`, `run_share`, `after`), `efficiency`,
            `partitions`, and optionally `pruned`, `buffers` and `usage` (`[partitions][slots]`, 0 or 1).
        declared: gives lanes their order and colours.

    Raises:
        RexError: there is no slot to draw.
    """
    slots = list(program.get("slots") or [])
    if not slots:
        raise RexError("program.json: it has no slots; compile the run again")
    nodes = [declared.label(str(slot["node"])) for slot in slots]
    by_label = declared.label
    declared = declared.collapsed()
    share = np.asarray([float(slot.get("run_share", np.nan)) for slot in slots])
    names = declared.rows(list(dict.fromkeys(nodes)))
    usage = np.asarray(program.get("usage") or np.zeros((0, len(slots))), bool)[:PARTITIONS]

    heights = [max(1.0, 0.36 * len(names) + 0.2), 0.9] + (
        [float(np.clip(0.05 * len(usage), 0.5, 2.0))] * (len(usage) > 0)
    )
    fig = style.figure(style.WIDTH, sum(heights) + 1.9)
    grid = fig.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    _template(grid[0], slots, nodes, names, declared)
    _shares(grid[1], share, nodes, declared)
    if len(usage):
        _strip(grid[2], usage, nodes, declared)
    grid[-1].set_xlabel("slot, in the order of execution")
    for axes in grid:
        axes.set_xlim(-0.6, len(slots) - 0.4)
        axes.xaxis.set_major_locator(MultipleLocator(1) if len(slots) <= 24 else MaxNLocator(16, integer=True))
    efficiency, partitions = program.get("efficiency"), program.get("partitions")
    fig.suptitle(
        f"{program.get('mode', 'template')}: {len(slots):,} {'slot' if len(slots) == 1 else 'slots'}"
        + ("" if efficiency is None else f", efficiency {float(efficiency):.1%}")
        + (
            ""
            if partitions is None
            else f", {int(partitions):,} {'partition' if int(partitions) == 1 else 'partitions'}"
        ),
        x=0.01,
        ha="left",
        fontsize=style.TITLE + 1,
        fontweight="bold",
    )
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=style.QUIET, marker=">", markersize=5, label="must run before")
    ] * (len(slots) <= TANGLED)
    for what, key in (("buffers (messages)", "buffers"), ("pruned", "pruned")):
        entry = program.get(key)
        if isinstance(entry, Mapping):
            ranked = sorted(entry.items(), key=lambda item: item[1] if isinstance(item[1], int) else 0)
            entry = {by_label(name): value for name, value in ranked} if len(names) < len(entry) else entry
        text = _summary(entry)
        if text:
            handles.append(Patch(alpha=0, label=f"{what}: {text}"))
    style.legend_below(fig, handles, columns=1 if len(handles) > 1 else None)
    return fig


def _summary(entry: Any) -> str:
    """Describes a mapping or list in a line, `agent 3, world 1`, with as many entries as fit."""
    if isinstance(entry, Mapping):
        parts = [
            f"{name} {len(value) if isinstance(value, list | dict) else value}"
            for name, value in entry.items()
            if value not in ([], {}, 0, None)
        ]
    else:
        parts = [str(value) for value in entry or []]
    return style.listing(parts, style.WIDTH - 2.6)


def _template(axes: Axes, slots: list[Any], nodes: list[str], names: list[str], declared: Declared) -> None:
    row = {name: index for index, name in enumerate(names)}
    size = float(np.clip(5.5 / len(slots), 0.03, 0.21))
    pitch = (style.WIDTH - 1.2) / len(slots)
    for before, after in _dependencies(slots) if len(slots) <= TANGLED else ():
        bowed = row[nodes[before]] == row[nodes[after]] and after - before > 1
        arrow = FancyArrowPatch(
            (before, row[nodes[before]]),
            (after, row[nodes[after]]),
            arrowstyle="-|>",
            mutation_scale=7 if size > 0.1 else 5,
            linewidth=1.0,
            color=style.QUIET,
            shrinkA=36 * size + 1.5,
            shrinkB=36 * size + 1.5,
            connectionstyle=f"arc3,rad={-0.36 / ((after - before) * pitch) if bowed else 0}",
            clip_on=False,
            zorder=2,
        )
        arrow.set_gid(f"after:{before}:{after}")
        axes.add_patch(arrow)
    dots = axes.scatter(
        range(len(slots)),
        [row[name] for name in nodes],
        s=(size * 72) ** 2,
        marker="s",
        color=[declared.colour(name) for name in nodes],
        edgecolors="white",
        linewidths=0.6,
        zorder=3,
    )
    dots.set_gid("slots")
    axes.set_yticks(range(len(names)), [style.shorten(name, 2.2, style.NORMAL) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.7)
    axes.tick_params(axis="y", length=0, labelsize=style.NORMAL)
    axes.tick_params(axis="x", labelbottom=False)
    axes.set_title("Template")


def _dependencies(slots: list[Any]) -> list[tuple[int, int]]:
    """Returns pairs of a slot and one that depends on it, without those that follow from others."""
    pairs: list[tuple[int, int]] = []
    above: list[set[int]] = []
    for index, slot in enumerate(slots):
        before = {int(each) for each in slot.get("after") or [] if 0 <= int(each) < index}
        implied = set().union(*(above[each] for each in before))
        pairs += [(each, index) for each in sorted(before - implied)]
        above.append(before | implied)
    return pairs


def _shares(axes: Axes, share: np.ndarray, nodes: list[str], declared: Declared) -> None:
    bars = axes.bar(range(len(share)), 100 * share, width=0.7, color=[declared.colour(name) for name in nodes])
    bars.set_label("run share")
    axes.set_ylim(0, 118 if len(share) <= 20 else 105)
    axes.set_yticks([0, 50, 100])
    axes.set_ylabel("runs in\n(% of partitions)")
    if len(share) <= 20:
        for index, value in enumerate(share):
            if np.isfinite(value):
                axes.text(index, 100 * value + 3, percent(value), ha="center", fontsize=style.SMALL)
    axes.grid(visible=False, axis="x")


def _strip(axes: Axes, usage: np.ndarray, nodes: list[str], declared: Declared) -> None:
    colours = np.asarray([to_rgb(declared.colour(name)) for name in nodes])
    cells = np.where(usage[..., None], colours[None], np.asarray(to_rgb("#f1f3f5")))
    image = axes.imshow(cells, aspect="auto", interpolation="nearest", origin="upper")
    image.set_gid("usage")
    axes.set_ylabel("partition")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes.grid(visible=False)
    axes.set_title(
        f"Slots that the first {len(usage):,} partitions use" if len(usage) > 1 else "Slots that the partition uses"
    )


def percent(share: float) -> str:
    """Returns a share as a whole number of percent, in which few are not none, and most are not all."""
    if 0 < share < 0.005:
        return "<1"
    return ">99" if 0.995 <= share < 1 else f"{100 * share:.0f}"
