"""Animates cart and pole as a GIF: where they are, where the agent knows them to be, and the force."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch

from rexcli.plot import Animation, Options, Picture, View, motion, style
from rexcli.plot.declared import Declared

DPI = 80
LENGTH = 0.8
"""Length of the pole as it is drawn, m."""
X, TH, FORCE = ("world/state/x", "world/output/x"), ("world/state/th", "world/output/th"), ("motor/output/force",)
KNOWN_X, KNOWN_TH = ("agent/state/x",), ("agent/state/th",)


class CartPole(Picture):
    """The animation of cart and pole, `plots: {pictures: {cartpole: nodes.cartpole.picture.CartPole}}`."""

    needs = ("recording.mcap|rollouts.npz",)
    suffix = ".gif"

    def render(self, view: View, options: Options) -> Animation:
        found, episode = motion.shown(view, options, (*X, *TH, *FORCE, *KNOWN_X, *KNOWN_TH)), options.episode
        declared = Declared.of(view)
        return draw(
            motion.needed(found, X, episode),
            motion.needed(found, TH, episode),
            motion.series(found, FORCE, episode),
            motion.series(found, KNOWN_X, episode),
            motion.series(found, KNOWN_TH, episode),
            track=float((view.config.get("env") or {}).get("track", 2.0)),
            limit=float(view.config["nodes"].get("motor", {}).get("max_force", 10.0)),
            colours=(declared.colour("world"), declared.colour("camera")),
            start=options.start,
            seconds=options.animation_seconds,
        )


@style.styled
def draw(
    x: motion.Series,
    th: motion.Series,
    force: motion.Series | None,
    known_x: motion.Series | None = None,
    known_th: motion.Series | None = None,
    *,
    track: float = 2.0,
    limit: float = 10.0,
    colours: tuple[str, str] = (style.COLOURS["grape"], style.COLOURS["pink"]),
    start: float = 0.0,
    seconds: float = 6.0,
) -> Animation:
    """Draws the motion in real time at 25 frames a second.

    Args:
        x, th: position of the cart, m, and angle of the pole, rad; 0 is upright.
        force: force on the cart, N.
        known_x, known_th: the newest values of both that the agent knows.
        track: how far the track goes to either side, m.
        limit: largest force, N.
        colours: colours of cart and pole, and of what the agent knows.
        start: start of the part that is drawn, s.
        seconds: its longest duration, s.
    """
    times = motion.frame_times(x.time, start, seconds)
    places = x.between(times)[:, 0]
    angles = motion.Series(th.time, np.unwrap(th.values, axis=0)).between(times)[:, 0]
    at, leaning = (np.zeros(len(times)) if known is None else known.held(times)[:, 0] for known in (known_x, known_th))
    forces = np.zeros(len(times)) if force is None else force.held(times)[:, 0]
    fig, axes = _stage(track, limit, colours[1] if known_x and known_th else None)
    ghost = axes.plot([], [], color=colours[1], linewidth=3, solid_capstyle="round", alpha=0.8)[0]
    cart = FancyBboxPatch((0, 0), 0.4, 0.14, boxstyle="round,pad=0.02", facecolor=style.INK, edgecolor="none")
    axes.add_patch(cart)
    rod = axes.plot([], [], color=colours[0], linewidth=5, solid_capstyle="round")[0]
    hub = Circle((0, 0), 0.04, facecolor="white", edgecolor=style.INK, zorder=4)
    axes.add_patch(hub)
    bar = axes.plot([], [], color=style.CYCLE[1], linewidth=7, solid_capstyle="butt")[0]
    clock = axes.text(-track, -1.42, "", fontsize=10, va="center")

    def pose(i: int) -> None:
        cart.set_x(places[i] - 0.2)
        cart.set_y(-0.07)
        rod.set_data([places[i], places[i] + LENGTH * np.sin(angles[i])], [0, LENGTH * np.cos(angles[i])])
        hub.center = (places[i], 0)
        bar.set_data([0, track * float(np.clip(forces[i] / limit, -1, 1))], [-1.15, -1.15])
        clock.set_text(f"{times[i]:.2f} s")
        if known_x and known_th and times[i] >= known_x.time[0]:
            ghost.set_data([at[i], at[i] + LENGTH * np.sin(leaning[i])], [0, LENGTH * np.cos(leaning[i])])

    return motion.film(fig, (ghost, cart, rod, hub, bar, clock), pose, len(times))


def _stage(track: float, limit: float, seen: str | None) -> tuple[Figure, Axes]:
    """Draws what stands still: the track with its ends, and the scale of the force."""
    width, low, high = track + 0.35, -1.6, 1.15
    fig = style.figure(6.0, 6.0 * (high - low) / (2 * width), constrained=False)
    fig.set_dpi(DPI)
    axes = fig.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-width, width)
    axes.set_ylim(low, high)
    axes.plot([-track, track], [-0.11, -0.11], color=style.QUIET, linewidth=2)
    for end in (-track, track):
        axes.plot([end, end], [-0.2, 0.1], color=style.QUIET, linewidth=4)
    axes.plot([-track, track], [-1.15, -1.15], color=style.FAINT, linewidth=7, solid_capstyle="butt")
    axes.plot([0, 0], [-1.22, -1.08], color=style.QUIET, linewidth=1.2)
    axes.text(track, -1.42, f"force (of ±{style.number(limit)} N)", fontsize=10, ha="right", va="center")
    if seen is not None:
        axes.plot([-0.55, -0.4], [-1.42, -1.42], color=seen, linewidth=3)
        axes.text(-0.33, -1.42, "as the agent sees it", fontsize=10, va="center")
    return fig, axes
