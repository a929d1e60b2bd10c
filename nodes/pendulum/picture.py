"""Animates the pendulum as a GIF: its angle, the action on it, and the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from rexcli.plot import Animation, Options, Picture, View, motion, style
from rexcli.plot.declared import Declared
from rexcli.plot.trajectories import Quantity

DPI = 80
ANGLES = ("world/state/th", "world/output/th", "sensor/output/th")
ACTIONS = ("actuator/output/action", "agent/output/action", "env/action")
"""Quantities that may be the angle and the action, the nearest to the pendulum first."""


class Pendulum(Picture):
    """The animation of the pendulum, `plots: {pictures: {pendulum: nodes.pendulum.picture.Pendulum}}`."""

    needs = ("recording.mcap|rollouts.npz",)
    suffix = ".gif"

    def render(self, view: View, options: Options) -> Animation:
        moved = motion_of(motion.shown(view, options, (*ANGLES, *ACTIONS)), options.episode)
        declared = Declared.of(view)
        colour = declared.colour("world") if "world" in declared.names else style.COLOURS["grape"]
        limit = _action_limit(view.config, moved)
        return draw(moved, colour=colour, limit=limit, start=options.start, seconds=options.animation_seconds)


@dataclass(frozen=True)
class Motion:
    """The motion of a pendulum.

    Attributes:
        time: times of the angles, s, `[n]`, increasing.
        angle: angles, rad, `[n]`; 0 is upright, pi hangs.
        action_time: times of the actions, s, `[m]`.
        action: actions, `[m]`, each held until the next; empty if unknown.
    """

    time: np.ndarray
    angle: np.ndarray
    action_time: np.ndarray
    action: np.ndarray


def _action_limit(config: Mapping[str, Any], moved: Motion) -> float:
    """Returns the largest voltage, V: as the world declares it, else what the motion needs, at least 2."""
    declared = config.get("nodes", {}).get("world", {}).get("max_voltage")
    if isinstance(declared, int | float) and declared > 0:
        return float(declared)
    return max([2.0, *np.abs(moved.action)])


def motion_of(found: Sequence[Quantity], episode: int = 0) -> Motion:
    """Returns the motion in one episode from the quantities of a run.

    Raises:
        RexError: there is no angle, or no such episode.
    """
    angle = motion.needed(found, ANGLES, episode)
    action = motion.series(found, ACTIONS, episode)
    action_time, actions = (np.zeros(0), np.zeros(0)) if action is None else (action.time, action.values[:, 0])
    return Motion(angle.time, angle.values[:, 0], action_time, actions)


@style.styled
def draw(moved: Motion, *, colour: str, limit: float = 2.0, start: float = 0.0, seconds: float = 6.0) -> Animation:
    """Draws the motion in real time at 25 frames a second.

    Args:
        moved: the motion.
        colour: colour of the pendulum.
        limit: largest action, at which its bar is full.
        start: start of the part that is drawn, s.
        seconds: its longest duration, s.
    """
    times = motion.frame_times(moved.time, start, seconds)
    angles = np.interp(times, moved.time, np.unwrap(moved.angle))
    actions = motion.Series(moved.action_time, moved.action[:, None]).held(times)[:, 0]
    fig, axes = _stage(f"action (of ±{style.number(limit)})" if len(moved.action) else "action not kept")
    rod = axes.plot([], [], color=style.INK, linewidth=4, solid_capstyle="round")[0]
    weight = Circle((0, 0), 0.2, facecolor=colour, edgecolor="white", linewidth=1.5, zorder=3)
    axes.add_patch(weight)
    hub = axes.add_patch(Circle((0, 0), 0.07, facecolor=style.INK, zorder=3))
    bar = axes.plot([], [], color=style.CYCLE[1], linewidth=7, solid_capstyle="butt")[0]
    clock = axes.text(-1.2, -1.78, "", fontsize=10, va="center")

    def pose(i: int) -> None:
        x, y = np.sin(angles[i]), np.cos(angles[i])
        rod.set_data([0, x], [0, y])
        weight.center = (x, y)
        bar.set_data([0, 1.2 * float(np.clip(actions[i] / limit, -1, 1))], [-1.5, -1.5])
        clock.set_text(f"{times[i]:.2f} s")

    return motion.film(fig, (rod, weight, hub, bar, clock), pose, len(times))


def _stage(caption: str) -> tuple[Figure, Axes]:
    """Draws what stands still: the disc, a mark at the top, and the scale of the action with its caption."""
    fig = style.figure(3.2, 3.5, constrained=False)
    fig.set_dpi(DPI)
    axes = fig.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-1.6, 1.6)
    axes.set_ylim(-1.95, 1.55)
    axes.add_patch(Circle((0, 0), 1.28, facecolor="#f8f9fa", edgecolor=style.FAINT, linewidth=1.2))
    axes.plot([0, 0], [1.2, 1.36], color=style.QUIET, linewidth=1.5)
    axes.plot([-1.2, 1.2], [-1.5, -1.5], color=style.FAINT, linewidth=7, solid_capstyle="butt")
    axes.plot([0, 0], [-1.58, -1.42], color=style.QUIET, linewidth=1.2)
    axes.text(1.2, -1.78, caption, fontsize=10, ha="right", va="center")
    return fig, axes
