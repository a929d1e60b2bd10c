"""Draws the declared system: nodes as boxes, edges as arrows, laid out along the flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch
from matplotlib.path import Path
from matplotlib.transforms import Bbox

from rexcli.errors import RexError
from rexcli.plot import style
from rexcli.plot.declared import Declared, EdgeLook, NodeLook, describe, describe_network
from rexcli.plot.layout import layered
from rexcli.plot.registry import Options, Picture, View
from rexcli.plot.routes import Routes

WORDY = 16
"""Number of edges up to which each is labelled in words; with more, only by its window's length."""
MARGIN = 0.3
DASHES = (0, (3.5, 2))
Point = tuple[float, float]


@dataclass(frozen=True)
class _Plan:
    """The geometry in inches: the size of a box, and the places of boxes and edges."""

    size: Point
    centre: dict[str, Point]
    paths: list[np.ndarray]
    width: float
    height: float


class SystemDiagram(Picture):
    def fits(self, view: View) -> bool:
        return bool(view.config.get("nodes"))

    def render(self, view: View, options: Options) -> Figure:
        return draw(Declared.of(view, options.group))


@style.styled
def draw(declared: Declared) -> Figure:
    """Draws nodes with rate and computation delay, edges with window and communication delay.

    Solid edges are blocking, dashed ones are not, and a diamond at the root marks `skip`. The supervisor has a heavy
    frame.

    Nodes of a group are one box, and its equal edges are one arrow.

    Artists have ids by which they can be found: `node:<name>`, `edge:<name>`.
    """
    declared = declared.collapsed()
    if not declared.nodes:
        raise RexError("a system without nodes has no picture: declare some under 'nodes'")
    labels = [_label(edge, declared) for edge in declared.edges]
    plan = _plan(declared, labels)
    fig = style.figure(plan.width, plan.height, constrained=False)
    axes = fig.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, plan.width)
    axes.set_ylim(0, plan.height)

    taken = [_box(axes, node, plan, supervisor=node.name == declared.supervisor) for node in declared.nodes]
    for edge, points in zip(declared.edges, plan.paths, strict=True):
        _arrow(axes, edge, points)
    for label, points in zip(labels, plan.paths, strict=True):
        x, y = _free_place(label, points, taken)
        box = {"boxstyle": "square,pad=0.12", "facecolor": "white", "edgecolor": "none"}
        axes.text(x, y, label, ha="center", va="center", fontsize=style.SMALL, linespacing=1.1, zorder=6, bbox=box)
    style.legend_below(fig, _legend(declared))
    return fig


def _box(axes: Axes, node: NodeLook, plan: _Plan, *, supervisor: bool) -> Bbox:
    """Draws a node and returns the room that it takes."""
    (x, y), (width, height) = plan.centre[node.name], plan.size
    frame = FancyBboxPatch(
        (x - width / 2 + 0.08, y - height / 2 + 0.08),
        width - 0.16,
        height - 0.16,
        boxstyle="round,pad=0.08",
        facecolor=style.tint(node.colour, 0.16),
        edgecolor=node.colour,
        linewidth=3.2 if supervisor else 1.4,
        zorder=3,
    )
    frame.set_gid(f"node:{node.name}")
    axes.add_patch(frame)
    lines = _lines(node)
    for index, line in enumerate(lines):
        at = y + ((len(lines) - 1) / 2 - index) * 0.165
        size, weight = (style.SMALL, "normal") if index else (style.NORMAL, "bold")
        axes.text(x, at, line, ha="center", va="center", fontsize=size, fontweight=weight, zorder=4)
    return Bbox.from_bounds(x - width / 2, y - height / 2, width, height)


def _arrow(axes: Axes, edge: EdgeLook, points: np.ndarray) -> None:
    arrow = FancyArrowPatch(
        path=Path(points),
        arrowstyle="-|>",
        mutation_scale=9,
        linewidth=1.3,
        linestyle="-" if edge.blocking else DASHES,
        color=style.INK,
        shrinkA=0,
        shrinkB=0,
        fill=False,
        zorder=2,
    )
    arrow.set_gid(f"edge:{edge.name}")
    axes.add_patch(arrow)
    if edge.skip:
        axes.plot(*points[0], marker="D", markersize=5, color=style.INK, markerfacecolor="white", zorder=5)


def _lines(node: NodeLook) -> list[str]:
    rates = sorted({node.rate, *node.rates})
    known = [style.number(each) for each in (rates[0], rates[-1])]
    rate = "rate ?" if np.isnan(rates).any() else f"{' … '.join(dict.fromkeys(known))} Hz"
    return [node.name, rate, f"takes {describe(node)}"]


def _label(edge: EdgeLook, declared: Declared) -> str:
    if len(declared.edges) > WORDY:
        return str(edge.window)
    twins = [other for other in declared.edges if (other.source, other.target) == (edge.source, edge.target)]
    lines = [edge.name] if len(twins) > 1 or " x " in edge.name else []
    buffered = ", buffered" if edge.jitter == "buffer" else ""
    network = describe_network(edge)
    return "\n".join([*lines, f"window {edge.window}{buffered}", describe(edge), *([network] if network else [])])


def _legend(declared: Declared) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = []
    if any(edge.blocking for edge in declared.edges):
        handles.append(Line2D([], [], color=style.INK, linewidth=1.3, label="blocking: the target waits"))
    if any(not edge.blocking for edge in declared.edges):
        handles.append(Line2D([], [], color=style.INK, linewidth=1.3, linestyle=DASHES, label="not blocking"))
    if any(edge.skip for edge in declared.edges):
        marker = Line2D([], [], marker="D", markersize=5, markerfacecolor="white", linestyle="none")
        marker.set(color=style.INK, markerfacecolor="white", label="skip: breaks the loop")
        handles.append(marker)
    if declared.supervisor in declared.names:
        colour = declared.colour(str(declared.supervisor))
        handles.append(Patch(facecolor=style.tint(colour, 0.16), edgecolor=colour, linewidth=2.6, label="supervisor"))
    if len(declared.edges) > WORDY:
        handles.append(Patch(alpha=0, label="number: window (messages)"))
    return handles


def _plan(declared: Declared, labels: Sequence[str]) -> _Plan:
    edges = [(edge.source, edge.target) for edge in declared.edges]
    layout = layered(declared.names, edges, [edge.skip for edge in declared.edges])
    width = max(
        max(
            style.text_size(line, style.SMALL if index else style.NORMAL, "normal" if index else "bold")[0]
            for index, line in enumerate(_lines(node))
        )
        for node in declared.nodes
    )
    size = (max(width + 0.3, 1.0), 0.68)
    label = tuple(max((style.text_size(label, style.SMALL)[axis] for label in labels), default=0.0) for axis in (0, 1))
    low, high = layout.breadth
    twins = max((edges.count(edge) for edge, back in zip(edges, layout.back, strict=True) if not back), default=1)
    lanes = (label[1] + 0.06, label[0] + 0.1)
    gaps = [
        max(0.45, label[1] + (0.3 if any(layout.back) else 0.15), twins * lanes[0] - size[1] + 0.1),
        max(label[0] + 0.25, twins * lanes[1] - size[0] + 0.1),
    ]
    beside = (size[0] + label[0] + 0.55, size[1] + gaps[0])
    below = (size[1] + label[1] + 0.5, size[0] + gaps[1])
    wide = layout.num_layers * beside[0] - label[0] - 0.55 + 2 * MARGIN
    horizontal = wide <= style.WIDTH or layout.num_layers * beside[0] <= (high - low + 1) * below[1]
    routes = Routes(
        layout,
        tuple(edges),
        beside if horizontal else below,
        (size[0] / 2, size[1] / 2) if horizontal else (size[1] / 2, size[0] / 2),
        lanes[0] if horizontal else lanes[1],
    )
    paths = [routes.path(index) for index in range(len(edges))]
    return _onto_paper(routes.centres(), paths, size, horizontal, (label[0], label[1]))


def _onto_paper(
    centres: dict[str, Point],
    paths: list[np.ndarray],
    size: Point,
    horizontal: bool,
    label: Point,
) -> _Plan:
    """Converts (along, across) to (x, y), both in inches, with a margin around and room for the legend below."""

    def turn(points: np.ndarray) -> np.ndarray:
        return np.stack([points[:, 0], -points[:, 1]], 1) if horizontal else np.stack([points[:, 1], -points[:, 0]], 1)

    middle = turn(np.asarray(list(centres.values())))
    curves = [turn(path) for path in paths]
    half = np.asarray(size) / 2
    room = np.asarray(label) / 2 if paths else np.zeros(2)
    cloud = np.concatenate([middle - half, middle + half, *[c - room for c in curves], *[c + room for c in curves]])
    low, high = cloud.min(0), cloud.max(0)
    extent = high - low
    width = max(style.WIDTH, extent[0] + 2 * MARGIN)
    shift = np.asarray([(width - extent[0]) / 2, MARGIN + 0.35]) - low
    height = extent[1] + 2 * MARGIN + 0.35
    placed = dict(zip(centres, (tuple(point) for point in middle + shift), strict=True))
    return _Plan(size, placed, [curve + shift for curve in curves], float(width), float(height))


def _free_place(label: str, points: np.ndarray, taken: list[Bbox]) -> Point:
    """Returns where on a path a label covers least of boxes and earlier labels; adds its box to `taken`."""
    width, height = style.text_size(label, style.SMALL)
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    tried: list[tuple[float, Point, Bbox]] = []
    for share in (0.5, 0.45, 0.55, 0.4, 0.6, 0.33, 0.67, 0.25, 0.75, 0.18, 0.82):
        x, y = (float(np.interp(share * lengths[-1], lengths, points[:, axis])) for axis in (0, 1))
        box = Bbox.from_bounds(x - width / 2 - 0.03, y - height / 2 - 0.02, width + 0.06, height + 0.04)
        common = [Bbox.intersection(box, other) for other in taken]
        tried.append((sum(part.width * part.height for part in common if part is not None), (x, y), box))
        if tried[-1][0] == 0:
            break
    _, place, box = min(tried, key=lambda attempt: attempt[0])
    taken.append(box)
    return place
