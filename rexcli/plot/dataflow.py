"""Draws the data flow of one episode: the steps of all nodes and their messages over time, and as a graph of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rexcli.errors import RexError
from rexcli.plot import style
from rexcli.plot.declared import Declared
from rexcli.plot.registry import Options, Picture, View
from rexcli.timeline.message_outcomes import message_outcomes
from rexcli.timeline.phases import phases
from rexcli.timeline.schedule import scheduled
from rexcli.timeline.spec import NANOSECONDS, NEVER, EdgeTiming
from rexcli.timeline.timeline import Timeline

BAR = 0.56
"""Height of a bar, in rows."""
RIGHT, BETWEEN, TOP, BOTTOM = 0.25, 0.5, 0.35, 0.95


READABLE = 40
"""Number of a node's steps side by side that a person can still tell apart."""

MANY = 1000
"""Number of steps from which the spacing of a node's steps is estimated."""


@dataclass(frozen=True)
class _Steps:
    """The steps of a node that overlap the window: sequence numbers and times in seconds, `[n]`."""

    seq: np.ndarray
    scheduled: np.ndarray
    start: np.ndarray
    end: np.ndarray


@dataclass(frozen=True)
class _Paper:
    """The scale of a drawing in inches: the length of a second, the height of a row, the thickness of arrows."""

    per_second: float
    per_row: float
    stroke: float = 0.012


class DataFlow(Picture):
    needs = ("timeline.npz|recording.mcap",)

    def render(self, view: View, options: Options) -> Figure:
        return draw(
            view.timeline(),
            Declared.of(view, options.group),
            episode=options.episode,
            start=options.start,
            max_seconds=options.max_seconds,
            mode=options.mode,
        )


@style.styled
def draw(
    timeline: Timeline,
    declared: Declared,
    *,
    episode: int = 0,
    start: float = 0.0,
    max_seconds: float | None = None,
    mode: Literal["arrival", "usage"] = "arrival",
) -> Figure:
    """Draws the seconds `start … start + max_seconds` of an episode in two panels that share their time.

    The upper panel has a lane per node. A bar with the sequence number spans a step from start to end, a pale bar the
    time from when it was scheduled to when it could start. Arrows lead from when a message was sent to when it arrived
    (`mode="arrival"`) or was first used (`mode="usage"`); messages that no step reads are dotted. In the lower panel,
    steps are vertices at their start, and edges are the messages read and, along a lane, the node's own state.

    Args:
        timeline: one or many episodes.
        declared: gives lanes their order and colours. If many nodes are drawn in groups, only the first ones of each
            have a lane.
        episode: the episode to draw.
        start: start of the window, s.
        max_seconds: length of the window, s, at most until the episode ends. If None, 0.5 s, or `READABLE` periods of
            the fastest node if that is shorter.
        mode: where message arrows end.

    Raises:
        RexError: the episode or the start is past the timeline's end.
    """
    if not 0 <= episode < timeline.num_episodes:
        raise RexError(f"episode {episode}: the timeline has {timeline.num_episodes}, counted from 0")
    timeline = timeline.select(slice(episode, episode + 1))
    every = declared.rows(list(timeline.steps))
    names = declared.few(every)
    last = max(
        (float(steps.end[0, steps.count[0] - 1]) for steps in timeline.steps.values() if steps.count[0]),
        default=0.0,
    )
    if start > last / NANOSECONDS:
        raise RexError(f"start {start} s: episode {episode} ends after {style.number(last / NANOSECONDS)} s")
    if max_seconds is None:
        max_seconds = min(0.5, READABLE / max(node.rate for node in timeline.spec.nodes))
    low, high = start, min(start + max_seconds, max(last / NANOSECONDS, start + 1e-3))

    row_height = float(np.clip(5.2 / (2 * len(names)), 0.26, 0.52))
    fig, lanes, graph, width = _panels(names, row_height)
    rows = {name: index for index, name in enumerate(names)}
    offset = phases(timeline.spec)
    steps = {name: _steps(timeline, name, offset[name]) for name in names}
    per_second = width / (high - low)
    densest = min(_spacing(node) for node in steps.values())
    paper = _Paper(per_second, row_height, float(np.clip(0.06 * densest * per_second, 0.005, 0.012)))
    for name, row in rows.items():
        _bars(lanes, steps[name], row, name, declared.colour(name), (low, high), paper)
    _messages(lanes, timeline, declared, steps, rows, (low, high), mode, paper)
    _graph(graph, timeline, declared, steps, rows, (low, high), paper)
    lanes.set_xlim(low, high)
    some = f"; {len(names)} of {len(every)} nodes" if len(names) < len(every) else ""
    style.tidy(lanes, title=f"Who computes when (arrows: sent → {'arrives' if mode == 'arrival' else 'is used'}){some}")
    style.tidy(graph, title="Graph of steps", x=f"time in episode {episode} (s)")
    lost = any(message_outcomes(timeline, edge).lost[0].any() for edge in _between(timeline, rows))
    style.legend_below(fig, _legend(lost))
    return fig


def _between(timeline: Timeline, rows: Mapping[str, int]) -> list[EdgeTiming]:
    """Returns the edges between nodes that have a lane."""
    return [edge for edge in timeline.spec.edges if edge.source in rows and edge.target in rows]


def _panels(names: Sequence[str], row_height: float) -> tuple[Figure, Axes, Axes, float]:
    """Makes two panels that share their time, with one row per name; also returns their width, inches."""
    left = 0.33 + min(2.3, max(style.text_size(name, style.NORMAL, "bold")[0] for name in names))
    panel, width = row_height * (len(names) + 0.2), style.WIDTH - left - RIGHT
    height = TOP + panel + BETWEEN + panel + BOTTOM
    fig = style.figure(style.WIDTH, height, constrained=False)

    def add(bottom: float, beside: Axes | None = None) -> Axes:
        place = (left / style.WIDTH, bottom / height, width / style.WIDTH, panel / height)
        axes = fig.add_axes(place, sharex=beside)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_yticks(range(len(names)), [style.shorten(name, 2.3, style.NORMAL, "bold") for name in names])
        for label in axes.get_yticklabels():
            label.set(fontsize=style.NORMAL, fontweight="bold")
        axes.tick_params(axis="y", length=0, pad=11)
        axes.grid(visible=False, axis="y")
        return axes

    lanes = add(BOTTOM + panel + BETWEEN)
    lanes.tick_params(axis="x", labelbottom=False)
    return fig, lanes, add(BOTTOM, lanes), width


def _steps(timeline: Timeline, name: str, phase: int) -> _Steps:
    steps, node = timeline.steps[name], timeline.spec.node(name)
    count = int(steps.count[0])
    due = scheduled(node.rate, phase, count) / NANOSECONDS
    return _Steps(np.arange(count), due, steps.start[0, :count] / NANOSECONDS, steps.end[0, :count] / NANOSECONDS)


def _spacing(node: _Steps) -> float:
    """Returns the typical time between the starts of a node's steps, s."""
    return float(np.median(np.diff(node.start[:MANY]))) if len(node.start) > 1 else float("inf")


def _bars(
    axes: Axes, node: _Steps, row: int, name: str, colour: str, window: tuple[float, float], paper: _Paper
) -> None:
    """Draws a node's steps as bars with their numbers, and how long each waited after it was due."""
    low, high = window
    seen = (node.start <= high) & (node.end >= low)
    waits = (node.scheduled < node.start - 1e-9) & (node.scheduled <= high) & (node.start >= low)
    waiting = axes.broken_barh(
        list(zip(node.scheduled[waits], (node.start - node.scheduled)[waits], strict=True)),
        (row - BAR / 6, BAR / 3),
        facecolor=style.tint(colour, 0.28),
        linewidth=0,
        zorder=2,
    )
    waiting.set_gid(f"waits:{name}")
    shortest = 1.2 / 72 / paper.per_second
    lengths = np.maximum((node.end - node.start)[seen], shortest)
    bars = axes.broken_barh(
        list(zip(node.start[seen], lengths, strict=True)),
        (row - BAR / 2, BAR),
        facecolor=colour,
        edgecolor="white",
        linewidth=0.6 if len(lengths) and np.median(lengths) * paper.per_second > 0.05 else 0,
        zorder=3,
    )
    bars.set_gid(f"steps:{name}")
    begin, end = np.maximum(node.start[seen], low), np.minimum(node.end[seen], high)
    for seq, middle, room in zip(node.seq[seen], (begin + end) / 2, (end - begin) * paper.per_second, strict=True):
        if room > style.text_size(str(seq), 7)[0] + 0.05:
            _number(axes, seq, middle, row, colour)


def _number(axes: Axes, seq: int, x: float, row: int, colour: str) -> None:
    """Draws a step's sequence number on its colour."""
    ink = style.ink_on(colour)
    axes.text(x, row, str(seq), ha="center", va="center_baseline", fontsize=7, color=ink, zorder=5)


def _messages(
    axes: Axes,
    timeline: Timeline,
    declared: Declared,
    steps: dict[str, _Steps],
    rows: dict[str, int],
    window: tuple[float, float],
    mode: str,
    paper: _Paper,
) -> None:
    """Draws arrows from the bars that send messages to the rows of their readers.

    Lines are dotted where nobody reads a message, and end in a cross where it is lost.
    """
    low, high = window
    for edge in _between(timeline, rows):
        messages = timeline.messages[edge.name]
        seq = np.flatnonzero(messages.arrive[0, : len(steps[edge.source].end)] < NEVER)
        seq = seq[steps[edge.source].end[seq] <= high]
        sent, reader = steps[edge.source].end[seq], messages.reader[0, seq]
        until = messages.arrive[0, seq] / NANOSECONDS
        if mode == "usage":
            until = np.where(reader >= 0, steps[edge.target].start[np.maximum(reader, 0)], until)
        seen = until >= low
        sent, until, read = sent[seen], until[seen], reader[seen] >= 0
        towards = np.sign(rows[edge.target] - rows[edge.source])
        begin = np.stack([sent, np.full(len(sent), rows[edge.source] + towards * BAR / 2)], 1)
        end = np.stack([until, np.full(len(sent), rows[edge.target] - towards * BAR / 2)], 1)
        _arrows(axes, begin[read], end[read], declared.colour(edge.source), f"read:{edge.name}", paper)
        unread = ~read
        lines = LineCollection(
            list(np.stack([begin[unread], end[unread]], 1)),
            colors=style.QUIET,
            linewidths=0.9,
            linestyles=(0, (1, 1.6)),
            zorder=2.5,
        )
        lines.set_gid(f"unread:{edge.name}")
        axes.add_collection(lines, autolim=False)
        lost = steps[edge.source].end[
            np.flatnonzero(message_outcomes(timeline, edge).lost[0, : len(steps[edge.source].end)])
        ]
        lost = lost[(lost >= low) & (lost <= high)]
        at = np.full(len(lost), rows[edge.source] + towards * (BAR / 2 + 0.12))
        crosses = axes.plot(lost, at, marker="x", markersize=5, color=style.INK, linestyle="none", zorder=5)[0]
        crosses.set_gid(f"lost:{edge.name}")


def _graph(
    axes: Axes,
    timeline: Timeline,
    declared: Declared,
    steps: dict[str, _Steps],
    rows: dict[str, int],
    window: tuple[float, float],
    paper: _Paper,
) -> None:
    low, high = window
    largest = min(0.115, 0.3 * paper.per_row)
    radii = {
        name: float(np.clip(0.36 * _spacing(node) * paper.per_second, 0.02, largest)) for name, node in steps.items()
    }
    for edge in _between(timeline, rows):
        source, target = steps[edge.source], steps[edge.target]
        reader = timeline.messages[edge.name].reader[0, : len(source.start)]
        read = np.flatnonzero((reader >= 0) & (source.start <= high))
        read = read[target.start[reader[read]] >= low]
        begin = np.stack([source.start[read], np.full(len(read), float(rows[edge.source]))], 1)
        end = np.stack([target.start[reader[read]], np.full(len(read), float(rows[edge.target]))], 1)
        shrink = (radii[edge.source] + 0.015, radii[edge.target] + 0.015)
        _arrows(axes, begin, end, declared.colour(edge.source), f"edges:{edge.name}", paper, shrink)
    for name, row in rows.items():
        node, colour = steps[name], declared.colour(name)
        inside = (node.start >= low) & (node.start <= high)
        radius = radii[name]
        pair = (node.start[:-1] <= high) & (node.start[1:] >= low)
        y = np.full(pair.sum(), float(row))
        state = LineCollection(
            list(np.stack([np.stack([node.start[:-1][pair], y], 1), np.stack([node.start[1:][pair], y], 1)], 1)),
            colors=style.tint(colour, 0.55),
            linewidths=1.8,
            zorder=2,
        )
        state.set_gid(f"state:{name}")
        axes.add_collection(state, autolim=False)
        dots = axes.scatter(
            node.start[inside],
            np.full(inside.sum(), row),
            s=(2 * radius * 72) ** 2,
            color=colour,
            edgecolors="white",
            linewidths=0.6,
            zorder=4,
            clip_on=False,
        )
        dots.set_gid(f"vertices:{name}")
        room = np.diff(node.start[inside], append=np.inf) * paper.per_second - radius
        for seq, begin, free in zip(node.seq[inside], node.start[inside], room, strict=True):
            width = style.text_size(str(seq), 7)[0]
            if width < 2 * radius - 0.01 and width / 2 + 0.03 < free and radius > 0.07:
                _number(axes, seq, begin, row, colour)


def _arrows(
    axes: Axes,
    begin: np.ndarray,
    end: np.ndarray,
    colour: str,
    gid: str,
    paper: _Paper,
    shrink: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Draws arrows between points `[n, 2]` in data units, shortened by `shrink` inches at their ends."""
    scale = np.asarray([paper.per_second, paper.per_row])
    along = (end - begin) * scale
    length = np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-9)
    first, last = (np.minimum(cut, 0.45 * length) * along / length / scale for cut in shrink)
    begin, end = begin + first, end - last
    arrows = axes.quiver(
        begin[:, 0],
        begin[:, 1],
        (end - begin)[:, 0],
        (end - begin)[:, 1],
        angles="xy",
        scale_units="xy",
        scale=1,
        units="inches",
        width=paper.stroke,
        headwidth=6,
        headlength=7,
        headaxislength=6.2,
        minlength=0,
        color=colour,
        edgecolor="white",
        linewidth=0.25 if paper.stroke > 0.01 else 0,
        zorder=2.5,
    )
    arrows.set_gid(gid)


def _legend(lost: bool) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Patch(facecolor=style.QUIET, label="computes (number: which step)"),
        Patch(facecolor=style.FAINT, label="scheduled, but waits"),
        Line2D([], [], color=style.QUIET, marker=">", markersize=5, label="message"),
        Line2D([], [], color=style.QUIET, linestyle=(0, (1, 1.6)), linewidth=0.9, label="message never read"),
    ]
    cross = Line2D([], [], color=style.INK, marker="x", markersize=5, linestyle="none", label="message lost")
    return [*handles, cross] if lost else handles
