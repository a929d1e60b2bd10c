"""Draws quantities over time: one recorded episode, or bands over many rollouts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import cached_property, partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rexcli.errors import RexError
from rexcli.plot import style
from rexcli.plot.declared import Declared
from rexcli.plot.registry import Options, Picture, View, settings
from rexcli.timeline.spec import NANOSECONDS
from rexcli.timeline.timeline import Timeline

SINGLES = 3
"""Number of episodes drawn one by one over the bands."""
TURNS = 20
"""Number of episodes of an angle that are drawn, in place of bands."""
WIDEST = 4
"""Most components of a vector that are drawn; longer vectors are no trajectories that a person can read."""
FIELDS = ("env", "state", "output", "inputs", "params")
MOST = 4000
"""Most blocks of a trajectory: a longer one is drawn by the lowest and the highest value of each block, and bands over
many episodes by at most twice as many ticks."""


@dataclass(frozen=True)
class Quantity:
    """A recorded quantity: one leaf of a node's params, inputs, state or output, or of the environment.

    Attributes:
        name: `<node>/<field>/<key path>`.
        colour: colour as hex.
        time: time, s, `[episodes, ticks]`; NaN where there is none.
        values: values, `[episodes, ticks, components]`; NaN where there is none.
    """

    name: str
    colour: str
    time: np.ndarray
    values: np.ndarray

    @property
    def field(self) -> str:
        """The field of the node that it belongs to, one of `FIELDS`."""
        node, field = self.name.split("/")[:2]
        return "env" if node == "env" else field

    @cached_property
    def is_constant(self) -> bool:
        """Whether it is constant within every episode."""
        low, high = (reduce(self.values, axis=1, initial=np.nan) for reduce in (np.fmin.reduce, np.fmax.reduce))
        return not (high > low).any()

    @property
    def constant_text(self) -> str:
        """Its value as text, if it is one number and the same in all episodes."""
        values = np.unique(self.values[np.isfinite(self.values)])
        if len(values) == 1:
            return style.number(float(values[0]))
        return "(by episode)" if self.values.shape[-1] == 1 and len(values) else ""

    def repeats(self, other: Quantity) -> bool:
        """Returns whether it equals another quantity of its node."""
        mine, theirs = self.name.split("/")[0], other.name.split("/")[0]
        return mine == theirs and np.array_equal(self.values, other.values, equal_nan=True)


class Trajectories(Picture):
    needs = ("recording.mcap|rollouts.npz",)

    def render(self, view: View, options: Options) -> Figure:
        declared = Declared.of(view, options.group)
        supervisor = declared.supervisor
        names: tuple[str, ...] = ("",)
        if declared.groups and not options.fields:
            names = ("env/", *(f"{name}/" for name in declared.few(declared.names, options.max_rows)))
        found = quantities(view, names)
        shown = choose(found, supervisor, options.fields, options.max_rows)
        return draw(shown, episode=options.episode, angles=settings(view.config).angles)


def quantities(view: View, names: Sequence[str] = ("",), seconds: tuple[float, float] | None = None) -> list[Quantity]:
    """Returns the quantities that a run kept in its rollouts, or else in its recording.

    Args:
        view: the run.
        names: prefixes of the names of quantities; default: all.
        seconds: start and end of the part of a recording; default: the whole, thinned.
    """
    declared = Declared.of(view)
    if view.has("rollouts.npz"):
        kept = (*names, "env/")
        arrays = {
            name: array
            for name, array in view.arrays("rollouts.npz").items()
            if name.endswith(("/seq", "/ts")) or any(map(name.startswith, kept))
        }
        found = from_rollouts(arrays, declared)
        return [entry for entry in found if any(map(entry.name.startswith, names))]
    return from_recording(view.recording(), view.timeline(), declared, names, seconds)


def from_rollouts(arrays: Mapping[str, np.ndarray], declared: Declared) -> list[Quantity]:
    """Returns the quantities of a rollouts.npz.

    Its arrays are `<node>/<field>/<key path>` `[num, steps, …]`, with `<node>/seq` and `<node>/ts`.

    Entries with sequence number -1 are unfilled. `env/…` arrays have one entry per supervisor step.
    """
    owners = {name.partition("/")[0] for name in arrays}
    found = []
    for owner in [name for name in ["env", *declared.rows(sorted(owners - {"env"}))] if name in owners]:
        clock = declared.supervisor if owner == "env" else owner
        seq, ts = arrays.get(f"{clock}/seq"), arrays.get(f"{clock}/ts")
        for name in arrays:
            field = name.split("/")[1] if "/" in name else ""
            if name.partition("/")[0] != owner or field in ("seq", "ts", "eps", ""):
                continue
            if arrays[name].ndim < 2 or not _is_trajectory(arrays[name].shape[2:], arrays[name].dtype):
                continue
            values = _components(arrays[name])
            if ts is None or ts.shape != values.shape[:2]:
                if owner != "env":
                    continue
                time = _env_time(values.shape[:2], ts, seq, declared)
            else:
                time = np.where(seq < 0, np.nan, ts) if seq is not None else ts.astype(np.float64)
            values = np.where(np.isnan(time)[..., None], np.nan, values)
            colour = style.INK if owner == "env" else declared.colour(owner)
            found.append(Quantity(name.rstrip("/"), colour, time, values))
    return found


def _env_time(shape: tuple[int, ...], ts: np.ndarray | None, seq: np.ndarray | None, declared: Declared) -> np.ndarray:
    """Returns when each env step ends: the supervisor's recorded times if as many, else multiples of its period."""
    rate = next((node.rate for node in declared.nodes if node.name == declared.supervisor), 1.0)
    if ts is not None and seq is not None and ts.shape[0] == shape[0] and ts.shape[1] == shape[1] + 1:
        return np.where(seq[:, 1:] < 0, np.nan, ts[:, 1:])
    return np.broadcast_to(np.arange(shape[1]) / rate, shape).astype(np.float64)


def from_recording(
    recording: Any,
    timeline: Timeline,
    declared: Declared,
    names: Sequence[str] = ("",),
    seconds: tuple[float, float] | None = None,
) -> list[Quantity]:
    """Returns the quantities of a recording (`rexcli.runs`): numbers that its nodes kept, at the starts of their steps.

    The recording is read in one pass and never held: an hour of it may have millions of steps.

    Args:
        recording: the recording.
        timeline: the recording's timeline.
        declared: gives colours and rows.
        names: prefixes of the names of quantities; default: all.
        seconds: start and end of the part to read; default: the whole, thinned (see `MOST`).
    """
    found: dict[tuple[str, Any], _Samples] = {}
    for node in declared.rows(list(timeline.steps)):
        steps = timeline.steps[node]
        recorded = np.minimum(steps.count, recording.counts(node))
        if node == timeline.spec.supervisor:  # its last tick ends the episode and sends nothing
            recorded = np.minimum(recorded, timeline.num_steps)
        for field in [name for name in FIELDS[1:] if name in recording.fields(node)]:
            for leaf in recording.leaves(node, field):
                name = f"{node}/{field}/{leaf.path}" if leaf.path else f"{node}/{field}"
                if any(map(name.startswith, names)) and _is_trajectory(leaf.shape, leaf.numpy_type):
                    found[node, leaf] = _Samples(name, steps.start, recorded, math.prod(leaf.shape), seconds)
    wanted = {node: [leaf for owner, leaf in found if owner == node] for node, _ in found}
    ticks = {node: samples.ticks for (node, _), samples in found.items()}
    for some in recording.records(wanted, ticks):
        for leaf, values in some.leaves.items():
            found[some.node, leaf].add(some.episode, some.seq, values)
    return [samples.quantity(declared.colour(node)) for (node, _), samples in found.items()]


class _Samples:
    """The part of a quantity that is drawn: all of it, some seconds, or a selection of a long one as `MOST` says.

    Each block of ticks of a single long episode gives two points: the lowest value at its start, and the highest in its
    middle. Bands over several episodes need the same instants of each, and so take equally spaced ticks.

    Args:
        name: name of the quantity.
        start: start of the node's ticks, ns, `[episodes, ticks]`.
        count: number of recorded ticks, `[episodes]`.
        components: how many numbers a value has.
        seconds: start and end of the part; all if None.

    Attributes:
        ticks: the first tick to keep, and the first not to keep any more.
    """

    def __init__(
        self,
        name: str,
        start: np.ndarray,
        count: np.ndarray,
        components: int,
        seconds: tuple[float, float] | None,
    ):
        self._name, self._count = name, count
        ticks = int(count.max(initial=0))
        self._first, self._every = 0, 1
        if seconds is not None:
            low, high = (round(each * NANOSECONDS) for each in seconds)
            inside = np.arange(ticks) < count[:, None]
            within = np.flatnonzero((inside & (start[:, :ticks] >= low) & (start[:, :ticks] <= high)).any(axis=0))
            self._first, ticks = (int(within[0]), int(within[-1]) + 1) if len(within) else (0, 0)
        self.ticks = self._first, ticks
        long = seconds is None and ticks > 2 * MOST
        self._extremes = long and len(start) == 1
        if long:
            self._every = -(-ticks // (MOST if self._extremes else 2 * MOST))
        at = np.arange(self._first, ticks, self._every)
        self._time = np.where(at < count[:, None], start[:, at] / NANOSECONDS, np.nan)
        if self._extremes:
            middle = np.minimum(at + self._every // 2, ticks - 1)
            self._time = np.stack([self._time, start[:, middle] / NANOSECONDS], axis=2).reshape(1, -1)
        empty = np.full((len(start), len(at), components), np.nan)
        self._low, self._high = empty, empty.copy() if self._extremes else empty

    def add(self, episode: np.ndarray, seq: np.ndarray, values: np.ndarray) -> None:
        """Adds values `[steps, ...]` of ticks `seq` of `episode`, `[steps]`; those that are not needed are ignored."""
        point, rest = np.divmod(seq - self._first, self._every)
        use = (point >= 0) & (point < self._low.shape[1]) & (seq < self._count[episode])
        if not self._extremes:
            use &= rest == 0
        episode, point = episode[use], point[use]
        new = values.reshape(len(values), -1)[use].astype(np.float64)
        if not self._extremes:
            self._low[episode, point] = new
        elif len(new):
            begins = np.flatnonzero(np.diff(point, prepend=-1))
            at = point[begins]
            np.fmin.at(self._low, (0, at), np.fmin.reduceat(new, begins))
            np.fmax.at(self._high, (0, at), np.fmax.reduceat(new, begins))

    def quantity(self, colour: str) -> Quantity:
        """Returns the quantity from the added values."""
        if not self._extremes:
            return Quantity(self._name, colour, self._time, self._low)
        values = np.stack([self._low, self._high], axis=2)
        return Quantity(self._name, colour, self._time, values.reshape(1, -1, values.shape[-1]))


def _is_trajectory(shape: Sequence[int], dtype: np.dtype) -> bool:
    """Returns whether a value has few enough numbers for a person to read."""
    return dtype.kind in "fiub" and 1 <= math.prod(shape) <= WIDEST


def _components(values: np.ndarray) -> np.ndarray:
    """Reshapes values to `[episodes, ticks, components]`."""
    return values.reshape(*values.shape[:2], math.prod(values.shape[2:])).astype(np.float64)


@dataclass(frozen=True)
class Choice:
    """The quantities that a picture shows, and those that it only mentions in words.

    Attributes:
        shown: the quantities with a row each.
        constant: quantities that are constant within every episode.
        same: outputs whose numbers are those of a state of their node.
        hidden: number of further quantities.
    """

    shown: Sequence[Quantity]
    constant: Sequence[Quantity] = ()
    same: Sequence[Quantity] = ()
    hidden: int = 0


def choose(
    found: Sequence[Quantity], supervisor: str | None = None, fields: Sequence[str] = (), max_rows: int = 12
) -> Choice:
    """Chooses what to show: quantities that match a pattern in `fields`, or else those that interest most.

    Those are what the task measures, the supervisor's output (the actions), then states, then other outputs. Constant
    quantities, and outputs that repeat a state of their node, are only mentioned.

    Raises:
        RexError: nothing matches, or nothing was kept.
    """
    if fields:
        matching = [entry for entry in found if any(fnmatch(entry.name, pattern) for pattern in fields)]
        if not matching:
            names = ", ".join(entry.name for entry in found)
            raise RexError(f"fields {', '.join(fields)} match nothing that was recorded; there are: {names}")
        return Choice(matching[:max_rows], hidden=len(matching[max_rows:]))
    if not found:
        raise RexError("nothing that varies over time was kept; record or keep states or outputs of some node")
    constant = [entry for entry in found if entry.is_constant]
    moving = [entry for entry in found if not entry.is_constant]
    states = [entry for entry in moving if entry.field == "state"]
    same = [entry for entry in moving if entry.field == "output" and any(map(entry.repeats, states))]
    moving = [entry for entry in moving if not any(entry is other for other in same)]
    if not moving:
        return Choice(constant[:max_rows], hidden=len(constant[max_rows:]))
    kept = {id(entry) for entry in sorted(moving, key=partial(_rank, supervisor))[:max_rows]}
    return Choice([entry for entry in moving if id(entry) in kept], constant, same, len(moving) - len(kept))


def _rank(supervisor: str | None, entry: Quantity) -> tuple[bool, bool, int]:
    acts = entry.name.startswith(f"{supervisor}/output")
    order = FIELDS.index(entry.field) if entry.field in FIELDS else len(FIELDS)
    return entry.field != "env", not acts, order


@style.styled
def draw(choice: Choice, *, episode: int = 0, angles: Sequence[str] = ()) -> Figure:
    """Draws one row per quantity over a shared time.

    Several episodes are drawn as the median, bands from the 25th to the 75th and from the 5th to the 95th percentile,
    and a few single episodes as thin lines. One episode is drawn as steps, each value held until the next.

    Angles are drawn within ±pi. Their percentiles would depend on where a turn begins, so single episodes are drawn
    instead of bands. Which quantities are angles cannot be told from their numbers, so it must be declared.

    Args:
        choice: the quantities to show.
        episode: the first of the single episodes.
        angles: patterns of the names of angles, rad.

    Raises:
        RexError: there is no such episode.
    """
    shown = choice.shown
    episodes = max(len(entry.values) for entry in shown)
    if episode >= episodes:
        raise RexError(f"episode {episode}: there are {episodes}, counted from 0")
    height = 0.92 if len(shown) <= 8 else 0.72
    notes = _notes(choice)
    fig = style.figure(style.WIDTH, height * len(shown) + 0.8 + 0.2 * len(notes))
    grid = fig.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, entry in zip(grid, shown, strict=True):
        _row(axes, entry, episode, any(fnmatch(entry.name, pattern) for pattern in angles))
    grid[-1].set_xlabel("time (s)" if not notes else "time (s)\n" + "\n".join(notes))
    style.align_ylabels(fig, grid)
    style.legend_below(fig, _legend(episodes))
    return fig


def _row(axes: Axes, entry: Quantity, episode: int, angle: bool) -> None:
    """Draws one quantity with its name."""
    episodes, components = len(entry.values), entry.values.shape[-1]
    if angle:
        entry = replace(entry, values=(entry.values + np.pi) % (2 * np.pi) - np.pi)
        axes.set_ylim(-np.pi, np.pi)
        axes.set_yticks([-np.pi, 0, np.pi], ["-π", "0", "π"])
    else:
        axes.locator_params(axis="y", nbins=3)
        style.thousands(axes.yaxis)
        axes.margins(y=0.08)
    for component in range(components):
        colour = _component_colour(entry, component)
        if episodes > 1 and not angle:
            _bands(axes, entry, component, colour)
        singles = range(episode, min(episode + (TURNS if angle else SINGLES), episodes))
        for single in singles:
            _line(axes, entry, single, component, colour, 1.4 if episodes == 1 else 0.5, angle)
    axes.margins(x=0)
    axes.set_ylabel(_title(entry.name), rotation=0, ha="right", va="center", fontsize=style.SMALL)
    if components > 1:
        _component_legend(axes, entry)


def band(entry: Quantity, component: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns the median time `[ticks]`, s, and percentiles 5, 25, 50, 75 and 95 over episodes, `[5, ticks]`.

    Ticks that fewer than half of the episodes have, or whose values are not finite, are left out.
    """
    time, values = entry.time, entry.values[..., component]
    good = np.isfinite(time) & np.isfinite(values)
    ticks = good.sum(0) * 2 >= max(1, len(time))
    masked = np.where(good, values, np.nan)[:, ticks]
    if not ticks.any():
        return np.zeros(0), np.zeros((5, 0))
    # A column that has NaN is slow, and takes all others with it.
    percentile = np.nanpercentile if np.isnan(masked).any() else np.percentile
    return np.nanmedian(np.where(good, time, np.nan)[:, ticks], 0), percentile(masked, [5, 25, 50, 75, 95], axis=0)


def _bands(axes: Axes, entry: Quantity, component: int, colour: str) -> None:
    time, (low, first, median, third, high) = band(entry, component)
    axes.fill_between(time, low, high, color=colour, alpha=0.16, linewidth=0, zorder=2)
    axes.fill_between(time, first, third, color=colour, alpha=0.28, linewidth=0, zorder=2)
    axes.plot(time, median, color=colour, linewidth=1.6, zorder=4)[0].set_gid(f"median:{entry.name}:{component}")


def _line(
    axes: Axes, entry: Quantity, episode: int, component: int, colour: str, width: float, angle: bool = False
) -> None:
    time, values = entry.time[episode], entry.values[episode, :, component]
    if angle:  # no line across the picture where a turn ends
        jumps = 1 + np.flatnonzero(np.abs(np.diff(values)) > np.pi)
        time, values = np.insert(time, jumps, time[jumps]), np.insert(values, jumps, np.nan)
    line = axes.plot(time, values, color=colour, linewidth=width, drawstyle="steps-post", zorder=3)[0]
    line.set_gid(f"episode:{entry.name}:{component}")


def _component_colour(entry: Quantity, component: int) -> str:
    """Returns the colour of a component.

    A node's own colour is not used beside others of the palette, one of which could look like it.
    """
    return entry.colour if entry.values.shape[-1] == 1 else style.CYCLE[component]


def _component_legend(axes: Axes, entry: Quantity) -> None:
    handles = [
        Line2D([], [], color=_component_colour(entry, component), label=f"[{component}]")
        for component in range(entry.values.shape[-1])
    ]
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.0, labelspacing=0.15)


def _title(name: str) -> str:
    node, _, rest = name.partition("/")
    rest = rest.replace("/", ".")
    return "\n".join([style.shorten(node, 1.7, style.SMALL), style.shorten(rest, 1.7, style.SMALL)])


def _notes(choice: Choice) -> list[str]:
    """Returns one line for each kind of quantity that is not drawn."""

    def line(head: str, parts: list[str]) -> str:
        room = style.WIDTH - 1.8 - style.text_size(head)[0]  # it stands below the axes, right of the figure's middle
        return head + style.listing(parts, room * style.SMALL / style.NORMAL)

    same = [entry.name.replace("/", ".") for entry in choice.same]
    constant = [f"{entry.name.replace('/', '.')} {entry.constant_text}".rstrip() for entry in choice.constant]
    notes = [line("the same as in the state: ", same)] if same else []
    notes += [line("constant: ", constant)] if constant else []
    return notes + ([f"{choice.hidden} more kept, not shown"] if choice.hidden else [])


def _legend(episodes: int) -> list[Line2D | Patch]:
    if episodes == 1:
        return []
    return [
        Line2D([], [], color=style.QUIET, linewidth=1.6, label=f"median of {episodes:,} episodes"),
        Patch(facecolor=style.QUIET, alpha=0.44, label="25 to 75 %"),
        Patch(facecolor=style.QUIET, alpha=0.16, label="5 to 95 %"),
        Line2D([], [], color=style.QUIET, linewidth=0.5, label="single episodes"),
    ]
