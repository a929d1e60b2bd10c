"""Animates the quadrotor as a GIF, with its path, where it should be, and where the pilot knows it to be."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rexcli.plot import Animation, Options, Picture, View, motion, style
from rexcli.plot.declared import Declared

DPI = 80
ARM = 0.16
"""Length of an arm as it is drawn, m: longer than it is, to be seen."""
TRAIL = 25
"""Number of frames for which the trail stays."""
POSITION, ATTITUDE = (
    ("world/state/position", "world/output/position"),
    ("world/state/attitude", "world/output/attitude"),
)
GOAL, KNOWN = ("pilot/state/goal",), ("pilot/state/known",)


class Quadrotor(Picture):
    """The animation of the quadrotor, `plots: {pictures: {quadrotor: nodes.quadrotor.picture.Quadrotor}}`."""

    needs = ("recording.mcap|rollouts.npz",)
    suffix = ".gif"

    def render(self, view: View, options: Options) -> Animation:
        found, episode = motion.shown(view, options, (*POSITION, *ATTITUDE, *GOAL, *KNOWN)), options.episode
        declared = Declared.of(view)
        return draw(
            motion.needed(found, POSITION, episode, 3),
            motion.needed(found, ATTITUDE, episode, 4),
            motion.needed(found, GOAL, episode, 3),
            motion.needed(found, KNOWN, episode, 3),
            colours=(declared.colour("world"), declared.colour("mocap"), declared.colour("pilot")),
            start=options.start,
            seconds=options.animation_seconds,
        )


@style.styled
def draw(
    position: motion.Series,
    attitude: motion.Series,
    goal: motion.Series,
    known: motion.Series,
    *,
    colours: tuple[str, str, str] = (style.COLOURS["grape"], style.COLOURS["blue"], style.COLOURS["teal"]),
    start: float = 0.0,
    seconds: float = 6.0,
) -> Animation:
    """Draws the flight in real time at 25 frames a second.

    Args:
        position, attitude: position of the quadrotor, m `[n, 3]`, and its attitude, quaternion `[n, 4]`.
        goal: where it should be, m.
        known: where the pilot knows it to be, m.
        colours: colours of the quadrotor, of what is known, and of the goal.
        start: start of the part that is drawn, s.
        seconds: its longest duration, s.
    """
    first = max(position.time[0], goal.time[0])
    times = motion.frame_times(position.time[position.time >= first], start, seconds)
    places, goals, seen = position.between(times), goal.between(times), known.held(times)
    turns = attitude.between(times)
    errors = np.linalg.norm(places - goals, axis=-1)
    fig, axes = _stage(goal.values, places, colours)
    trail = axes.plot([], [], color=colours[0], linewidth=1.5, alpha=0.5)[0]
    target = axes.plot([], [], "o", color=colours[2], markersize=9, markerfacecolor="white", markeredgewidth=2)[0]
    ghost = axes.plot([], [], "x", color=colours[1], markersize=8, markeredgewidth=2)[0]
    arms = [axes.plot([], [], color=style.INK, linewidth=2.5, solid_capstyle="round")[0] for _ in range(2)]
    rotors = axes.plot([], [], "o", color=colours[0], markersize=7, markeredgecolor="white")[0]
    clock = fig.text(0.03, 0.045, "", fontsize=10)
    off = fig.text(0.97, 0.045, "", fontsize=10, ha="right")

    def pose(i: int) -> None:
        corners = places[i] + ARM * _axes_of(turns[i])
        trail.set_data(*_seen_from(places[max(0, i - TRAIL) : i + 1]).T)
        target.set_data(*_seen_from(goals[i : i + 1]).T)
        ghost.set_data(*_seen_from(seen[i : i + 1]).T)
        for arm, pair in zip(arms, (corners[::2], corners[1::2]), strict=True):
            arm.set_data(*_seen_from(pair).T)
        rotors.set_data(*_seen_from(corners).T)
        clock.set_text(f"{times[i]:.2f} s")
        off.set_text(f"off by {100 * errors[i]:.0f} cm")

    return motion.film(fig, (trail, target, ghost, *arms, rotors, clock, off), pose, len(times))


def _seen_from(points: np.ndarray) -> np.ndarray:
    """Projects points of the room, m `[..., 3]`, onto the picture, `[..., 2]`."""
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack([x + 0.35 * y, 0.55 * y + z], axis=-1)


def _axes_of(quaternion: np.ndarray) -> np.ndarray:
    """Returns the directions of the four rotors from the middle, front left, rear left, and so on round, `[4, 3]`."""
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    front = np.array([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)])
    left = np.array([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)])
    return np.stack([front + left, left - front, -front - left, front - left])


def _stage(goal: np.ndarray, places: np.ndarray, colours: tuple[str, str, str]) -> tuple[Figure, Axes]:
    """Draws what stands still: the path, and the legend of the marks."""
    fig = style.figure(6.0, 3.6, constrained=False)
    fig.set_dpi(DPI)
    axes = fig.add_axes((0, 0.12, 1, 0.88))
    axes.set_axis_off()
    axes.set_aspect("equal", adjustable="datalim")
    path = _seen_from(goal)
    shown = np.concatenate([path, _seen_from(places)])
    low, high = shown.min(axis=0), shown.max(axis=0)
    axes.set_xlim(low[0] - 0.4, high[0] + 0.4)
    axes.set_ylim(low[1] - 0.4, high[1] + 0.4)
    axes.plot(*path.T, color=style.FAINT, linewidth=2)
    marks = [
        axes.plot([], [], "o", color=colours[2], markerfacecolor="white", markeredgewidth=2)[0],
        axes.plot([], [], "x", color=colours[1], markeredgewidth=2)[0],
    ]
    fig.legend(marks, ["where it should be", "as the pilot sees it"], loc="lower center", ncols=2, borderaxespad=0.6)
    return fig, axes
