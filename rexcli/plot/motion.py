"""Provides what animations share: the motion, the times of frames, and drawing frames over a still background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rexcli.errors import RexError
from rexcli.plot import style
from rexcli.plot.registry import Animation, Options, View
from rexcli.plot.trajectories import Quantity, quantities

FRAMES_PER_SECOND = 25


@dataclass(frozen=True)
class Series:
    """The values of one quantity in one episode.

    Attributes:
        time: s, `[n]`, increasing.
        values: `[n, components]`.
    """

    time: np.ndarray
    values: np.ndarray

    def between(self, times: np.ndarray) -> np.ndarray:
        """Returns values at `times`, `[m]`, by linear interpolation, `[m, components]`."""
        return np.stack([np.interp(times, self.time, each) for each in self.values.T], axis=-1)

    def held(self, times: np.ndarray) -> np.ndarray:
        """Returns values at `times`, `[m]`, each held until the next, and 0 before the first, `[m, components]`."""
        nothing = np.zeros((1, self.values.shape[1]))
        return np.concatenate([self.values, nothing])[np.searchsorted(self.time, times, side="right") - 1]


def shown(view: View, options: Options, names: Sequence[str]) -> list[Quantity]:
    """Returns a run's quantities whose names begin with one of `names`, in the time that the options ask for."""
    return quantities(view, names, (options.start, options.start + options.animation_seconds))


def series(found: Sequence[Quantity], names: Sequence[str], episode: int, components: int = 1) -> Series | None:
    """Returns the first of the named quantities that was kept with so many components in an episode; None if none was.

    Raises:
        RexError: there is no such episode, or it has no finite value.
    """
    named = {entry.name: entry for entry in found if entry.values.shape[-1] == components}
    entry = next((named[name] for name in names if name in named), None)
    if entry is None:
        return None
    if episode >= len(entry.values):
        raise RexError(f"episode {episode}: there are {len(entry.values)}, counted from 0")
    time, values = entry.time[episode], entry.values[episode]
    good = np.isfinite(time) & np.isfinite(values).all(-1)
    if not good.any():
        raise RexError(f"episode {episode}: {entry.name} is nowhere finite, so there is no motion to draw")
    return Series(time[good], values[good])


def needed(found: Sequence[Quantity], names: Sequence[str], episode: int, components: int = 1) -> Series:
    """Returns `series` of quantities without which a picture cannot be drawn.

    Raises:
        RexError: none of the quantities was kept; otherwise as for `series`.
    """
    kept = series(found, names, episode, components)
    if kept is None:
        raise RexError(f"what moves was not kept; keep {' or '.join(names)}")
    return kept


def frame_times(time: np.ndarray, start: float = 0.0, seconds: float = 6.0) -> np.ndarray:
    """Returns the times of frames, s, `[frames]`: 25 a second, from the first of `time`, `[n]`, or a later `start`."""
    first = max(start, float(time[0]))
    last = min(first + seconds, float(time[-1]))
    if last < first:
        raise RexError(f"start {start} s: the motion ends after {style.number(float(time[-1]))} s")
    return first + np.arange(int((last - first) * FRAMES_PER_SECOND + 1e-6) + 1) / FRAMES_PER_SECOND


def film(figure: Figure, moving: Sequence[Artist], pose: Callable[[int], None], frames: int) -> Animation:
    """Returns an animation that draws the moving artists, in order, over the rest of the figure.

    Args:
        figure: the figure, whose rest is drawn once.
        moving: the figure's artists that move.
        pose: moves the artists to where they are in frame `i`.
        frames: number of frames.
    """
    for artist in moving:
        artist.set_animated(True)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    background = canvas.copy_from_bbox(figure.bbox)
    drawn = []
    for i in range(frames):
        canvas.restore_region(background)
        pose(i)
        for artist in moving:
            figure.draw_artist(artist)
        drawn.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return Animation(drawn, FRAMES_PER_SECOND)
