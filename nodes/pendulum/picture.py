"""The pendulum moving, as a GIF: its angle, the action on it, and the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from rexcli import RexError
from rexcli.plot import Animation, Options, Picture, View, style
from rexcli.plot.declared import Declared
from rexcli.plot.trajectories import Quantity, quantities

FRAMES_PER_SECOND = 25
DPI = 80
ANGLES = ("world/state/th", "world/output/th", "sensor/output/th")
ACTIONS = ("actuator/output/action", "agent/output/action", "env/action")
"""What may be the angle and the action, the nearest to the pendulum first."""


class Pendulum(Picture):
    """`plots: {pictures: {pendulum: nodes.pendulum.picture.Pendulum}}`."""

    needs = ("recording.mcap|rollouts.npz",)
    suffix = ".gif"

    def render(self, view: View, options: Options) -> Animation:
        shown = options.start, options.start + options.animation_seconds
        motion = motion_of(quantities(view, (*ANGLES, *ACTIONS), shown), options.episode)
        declared = Declared.of(view)
        colour = declared.colour("world") if "world" in declared.names else style.COLOURS["grape"]
        limit = _action_limit(view.config, motion)
        return draw(motion, colour=colour, limit=limit, start=options.start, seconds=options.animation_seconds)


@dataclass(frozen=True)
class Motion:
    """How a pendulum moved.

    Attributes:
        time: s, `[n]`, increasing.
        angle: rad, `[n]`; 0 is upright, pi hangs.
        action_time: s, `[m]`.
        action: `[m]`, each held until the next; empty if unknown.
    """

    time: np.ndarray
    angle: np.ndarray
    action_time: np.ndarray
    action: np.ndarray


def _action_limit(config: Mapping[str, Any], motion: Motion) -> float:
    """V: what the world declares, else what the motion needs, 2 at least."""
    declared = config.get("nodes", {}).get("world", {}).get("max_voltage")
    if isinstance(declared, int | float) and declared > 0:
        return float(declared)
    return max([2.0, *np.abs(motion.action)])


def motion_of(found: Sequence[Quantity], episode: int = 0) -> Motion:
    """The motion in one episode of what a run kept.

    Raises:
        RexError: if there is no angle, or no such episode.
    """
    named = {entry.name: entry for entry in found if entry.values.shape[-1] == 1}
    angle = next((named[name] for name in ANGLES if name in named), None)
    action = next((named[name] for name in ACTIONS if name in named), None)
    if angle is None:
        raise RexError(f"the pendulum's angle was not kept; keep one of {', '.join(ANGLES)}")
    if episode >= len(angle.values):
        raise RexError(f"episode {episode}: there are {len(angle.values)}, counted from 0")
    time, values = _finite(angle, episode)
    action_time, actions = (np.zeros(0), np.zeros(0)) if action is None else _finite(action, episode)
    if not len(time):
        raise RexError(f"episode {episode} holds no finite angle, so there is no motion to draw")
    return Motion(time, values, action_time, actions)


def _finite(entry: Quantity, episode: int) -> tuple[np.ndarray, np.ndarray]:
    time, values = entry.time[episode], entry.values[episode, :, 0]
    good = np.isfinite(time) & np.isfinite(values)
    return time[good], values[good]


@style.styled
def draw(motion: Motion, *, colour: str, limit: float = 2.0, start: float = 0.0, seconds: float = 6.0) -> Animation:
    """Draws the motion at 25 frames a second, at the pace at which it happened.

    Args:
        motion: what happened.
        colour: of the pendulum.
        limit: the greatest action, at which its bar is full.
        start: s.
        seconds: of the motion, at most.
    """
    times = frame_times(motion, start, seconds)
    angles = np.interp(times, motion.time, np.unwrap(motion.angle))
    held = np.searchsorted(motion.action_time, times, side="right") - 1
    actions = np.append(motion.action, 0.0)[held]  # before the first one, 0
    fig, axes = _stage(f"action (of ±{style.number(limit)})" if len(motion.action) else "action not kept")
    canvas = FigureCanvasAgg(fig)
    rod = axes.plot([], [], color=style.INK, linewidth=4, solid_capstyle="round", animated=True)[0]
    weight = Circle((0, 0), 0.2, facecolor=colour, edgecolor="white", linewidth=1.5, animated=True, zorder=3)
    axes.add_patch(weight)
    hub = axes.add_patch(Circle((0, 0), 0.07, facecolor=style.INK, animated=True, zorder=3))
    bar = axes.plot([], [], color=style.CYCLE[1], linewidth=7, solid_capstyle="butt", animated=True)[0]
    clock = axes.text(-1.2, -1.78, "", fontsize=10, va="center", animated=True)
    canvas.draw()
    background = canvas.copy_from_bbox(fig.bbox)
    frames = []
    for time, angle, action in zip(times, angles, actions, strict=True):
        canvas.restore_region(background)
        x, y = np.sin(angle), np.cos(angle)
        rod.set_data([0, x], [0, y])
        weight.center = (x, y)
        bar.set_data([0, 1.2 * float(np.clip(action / limit, -1, 1))], [-1.5, -1.5])
        clock.set_text(f"{time:.2f} s")
        for artist in (rod, weight, hub, bar, clock):
            axes.draw_artist(artist)
        frames.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return Animation(frames, FRAMES_PER_SECOND)


def _stage(caption: str) -> tuple[Figure, Axes]:
    """What stands still: the disc, a mark at the top, and the scale of the action with its caption."""
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


def frame_times(motion: Motion, start: float = 0.0, seconds: float = 6.0) -> np.ndarray:
    """When the frames are, s, `[frames]`: 25 a second, from the motion's start or `start`, whichever is later."""
    first = max(start, float(motion.time[0]))
    last = min(first + seconds, float(motion.time[-1]))
    if last < first:
        raise RexError(f"start {start} s: the motion ends after {style.number(float(motion.time[-1]))} s")
    return first + np.arange(int((last - first) * FRAMES_PER_SECOND + 1e-6) + 1) / FRAMES_PER_SECOND
