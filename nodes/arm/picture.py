"""Animates the arm as a GIF: its links, the load in its hand, and the goal of the hand."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from nodes.arm.task import FOREARM, UPPER_ARM
from rexcli.plot import Animation, Options, Picture, View, motion, style
from rexcli.plot.declared import Declared

DPI = 80
REACH = UPPER_ARM + FOREARM
SHOULDER = ("world/state/qpos.shoulder", "world/output/qpos.shoulder", "world/output/shoulder")
ELBOW = ("world/state/qpos.elbow", "world/output/qpos.elbow", "world/output/elbow")
GOAL = ("agent/state",)


class Arm(Picture):
    """The animation of the arm, `plots: {pictures: {arm: nodes.arm.picture.Arm}}`."""

    needs = ("recording.mcap|rollouts.npz",)
    suffix = ".gif"

    def render(self, view: View, options: Options) -> Animation:
        found, episode = motion.shown(view, options, (*SHOULDER, *ELBOW, *GOAL)), options.episode
        return draw(
            motion.needed(found, SHOULDER, episode),
            motion.needed(found, ELBOW, episode),
            motion.series(found, GOAL, episode, components=2),
            colour=Declared.of(view).colour("world"),
            start=options.start,
            seconds=options.animation_seconds,
        )


@style.styled
def draw(
    shoulder: motion.Series,
    elbow: motion.Series,
    goal: motion.Series | None = None,
    *,
    colour: str = style.COLOURS["grape"],
    start: float = 0.0,
    seconds: float = 6.0,
) -> Animation:
    """Draws the motion in real time at 25 frames a second.

    Args:
        shoulder, elbow: angles, rad; at 0 the arm hangs.
        goal: goal of the hand, m (x, z).
        colour: colour of the arm.
        start: start of the part that is drawn, s.
        seconds: its longest duration, s.
    """
    times = motion.frame_times(shoulder.time, start, seconds)
    first, second = (each.between(times)[:, 0] for each in (shoulder, elbow))
    bend = -UPPER_ARM * np.stack([np.sin(first), np.cos(first)])
    hand = bend - FOREARM * np.stack([np.sin(first + second), np.cos(first + second)])
    fig, axes = _stage()
    target = Circle((0, 0), 0.05, facecolor="none", edgecolor=style.CYCLE[1], linewidth=2.5, visible=goal is not None)
    axes.add_patch(target)
    links = axes.plot([], [], color=colour, linewidth=7, solid_capstyle="round", solid_joinstyle="round")[0]
    joints = axes.plot([], [], "o", color="white", markersize=4, zorder=4)[0]
    load = Circle((0, 0), 0.04, facecolor=style.INK, edgecolor="white", linewidth=1.2, zorder=4)
    axes.add_patch(load)
    clock = axes.text(-REACH, -REACH - 0.03, "", fontsize=10, va="center")
    places = None if goal is None else goal.held(times)

    def pose(i: int) -> None:
        links.set_data([0, bend[0, i], hand[0, i]], [0, bend[1, i], hand[1, i]])
        joints.set_data([0, bend[0, i]], [0, bend[1, i]])
        load.center = tuple(hand[:, i])
        clock.set_text(f"{times[i]:.2f} s")
        if places is not None:
            target.center = tuple(places[i])

    return motion.film(fig, (target, links, joints, load, clock), pose, len(times))


def _stage() -> tuple[Figure, Axes]:
    """Draws what stands still: the reach of the hand."""
    fig = style.figure(3.6, 3.6, constrained=False)
    fig.set_dpi(DPI)
    axes = fig.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-REACH - 0.1, REACH + 0.1)
    axes.set_ylim(-REACH - 0.1, REACH + 0.1)
    axes.add_patch(Circle((0, 0), REACH, facecolor="#f8f9fa", edgecolor=style.FAINT, linewidth=1.2))
    return fig, axes
