"""Animates the platoon as a GIF: the lane from above, and by how much each gap is too wide or too narrow."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from nodes.platoon.car import GAP
from nodes.platoon.vehicle import Params
from rexcli.plot import Animation, Options, Picture, View, motion, style
from rexcli.plot.declared import Declared

DPI = 80
DASH = 10.0
"""Distance between the dashes of the lane, m."""
LEADER, SPEED = ("leader/state/motion.position",), ("leader/state/motion.speed",)


class Platoon(Picture):
    """The animation of the platoon, `plots: {pictures: {platoon: nodes.platoon.picture.Platoon}}`."""

    needs = ("recording.mcap|rollouts.npz",)
    suffix = ".gif"

    def render(self, view: View, options: Options) -> Animation:
        declared = Declared.of(view)
        cars = [f"car_{i}" for i in range(len(declared.names)) if f"car_{i}" in declared.names]
        names = [f"{car}/state/motion.position" for car in cars]
        found = motion.shown(view, options, (*LEADER, *SPEED, *names))
        return draw(
            motion.needed(found, LEADER, options.episode),
            motion.needed(found, SPEED, options.episode),
            [motion.needed(found, (name,), options.episode) for name in names],
            colours=(declared.colour("leader"), declared.colour("car_0")),
            start=options.start,
            seconds=options.animation_seconds,
        )


@style.styled
def draw(
    leader: motion.Series,
    speed: motion.Series,
    cars: list[motion.Series],
    *,
    colours: tuple[str, str] = (style.COLOURS["grape"], style.COLOURS["orange"]),
    start: float = 0.0,
    seconds: float = 6.0,
) -> Animation:
    """Draws the drive in real time at 25 frames a second.

    Args:
        leader, cars: positions of the front bumpers, m.
        speed: speed of the leader, m/s.
        colours: colours of the leader and of cars.
        start: start of the part that is drawn, s.
        seconds: its longest duration, s.
    """
    times = motion.frame_times(leader.time, start, seconds)
    front = leader.between(times)[:, 0]
    places = np.stack([each.between(times)[:, 0] for each in (leader, *cars)]) - front  # [1 + cars, frames]
    length = Params().length
    errors = places[:-1] - places[1:] - length - GAP
    fig, lane, bars = _stage(len(cars), length)
    dashes = lane.plot([], [], color=style.FAINT, linewidth=2)[0]
    box = FancyBboxPatch((0.3 - length, -0.9), length - 0.6, 1.8, boxstyle="round,pad=0,rounding_size=0.5")
    outline = np.asarray(box.get_path().to_polygons(closed_only=False)[0])
    vehicles = PolyCollection([], facecolors=[colours[0], *[colours[1]] * len(cars)], linewidths=0)
    lane.add_collection(vehicles)
    sides = np.arange(1, len(cars) + 1)[:, None] + [-0.3, -0.3, 0.3, 0.3]  # of each bar's corners
    columns = PolyCollection([], facecolors=colours[1], linewidths=0)
    bars.add_collection(columns)
    clock = fig.text(0.02, 0.93, "", fontsize=10)
    pace = fig.text(0.98, 0.93, "", fontsize=10, ha="right")
    left, right = lane.get_xlim()

    def pose(i: int) -> None:
        begins = np.arange(np.floor((front[i] + left) / DASH), np.ceil((front[i] + right) / DASH)) * DASH - front[i]
        x = np.stack([begins, begins + DASH / 2, np.full_like(begins, np.nan)], axis=-1).ravel()
        dashes.set_data(x, np.full_like(x, 2.2))
        vehicles.set_verts([outline + np.array([place, 0.0]) for place in places[:, i]])
        columns.set_verts(list(np.stack([sides, errors[:, i, None] * [0, 1, 1, 0]], axis=-1)))
        clock.set_text(f"{times[i]:.2f} s")
        pace.set_text(f"leader at {float(speed.held(times[i : i + 1])[0, 0]):.1f} m/s")

    return motion.film(fig, (dashes, vehicles, columns, clock, pace), pose, len(times))


def _stage(cars: int, length: float) -> tuple[Figure, Axes, Axes]:
    """Makes the lane and the axes of the errors, with what stands still in them."""
    fig = style.figure(7.0, 3.2, constrained=False)
    fig.set_dpi(DPI)
    lane = fig.add_axes((0.02, 0.6, 0.96, 0.3))
    lane.set_axis_off()
    lane.set_xlim(-cars * (length + GAP) - length - 6.0, 6.0)
    lane.set_ylim(-4.0, 4.0)
    lane.axhline(-2.4, color=style.QUIET, linewidth=2)
    bars = fig.add_axes((0.11, 0.16, 0.86, 0.36))
    bars.set_xlim(cars + 0.6, 0.4)  # as on the lane: the first car on the right
    bars.set_ylim(-3.0, 3.0)
    bars.set_xticks(np.arange(1, cars + 1, max(1, cars // 16)))
    style.tidy(bars, x="car", y="gap too wide, m")
    bars.axhline(0.0, color=style.INK, linewidth=1)
    return fig, lane, bars
