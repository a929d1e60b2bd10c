"""What moves is where it was between two times, frames are 25 a second, and only what moves is drawn anew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import Circle

from rexcli.errors import RexError
from rexcli.plot import motion, style
from rexcli.plot.motion import Series
from rexcli.plot.trajectories import Quantity

TIME, VALUES = np.array([0.5, 1.0, 2.0]), np.array([[1.0, -1.0], [3.0, 0.0], [2.0, 4.0]])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(TIME.tolist()) | st.floats(-1, 4), min_size=1, max_size=5))
def test_values_lie_on_straight_lines_or_are_held_until_the_next(times: list[float]) -> None:
    path, at = Series(TIME, VALUES), np.array(times)
    for row, held, now in zip(path.between(at), path.held(at), times, strict=True):
        before = [index for index, time in enumerate(TIME) if time <= now]
        np.testing.assert_array_equal(held, VALUES[before[-1]] if before else 0.0)
        last = before[-1] if before else 0
        share = np.clip((now - TIME[last]) / (TIME[last + 1] - TIME[last]), 0, 1) if last < 2 else 0.0
        np.testing.assert_allclose(row, VALUES[last] + share * (VALUES[min(last + 1, 2)] - VALUES[last]), atol=1e-12)


def test_the_first_that_was_kept_moves_and_gaps_are_left_out() -> None:
    nan = float("nan")
    times = np.array([[0.0, 0.1, nan], [0.0, 0.1, 0.2]])
    found = [
        Quantity("world/state/x", "red", times, np.array([[[1.0], [2.0], [3.0]]] * 2)),
        Quantity("eye/output/x", "red", times[1:], np.full((1, 3, 1), nan)),
        Quantity("eye/output/image", "red", times[1:], np.zeros((1, 3, 3))),
    ]
    names = ["eye/output/nothing", "world/state/x", "eye/output/x"]
    kept = motion.needed(found, names, 0)
    assert (kept.time.tolist(), kept.values.tolist()) == ([0.0, 0.1], [[1.0], [2.0]])
    assert motion.series(found, ["eye/output/image"], 0) is None, "it has more than one component"
    with pytest.raises(RexError, match="keep a or b"):
        motion.needed(found, ["a", "b"], 0)
    with pytest.raises(RexError, match="episode 2: there are 2"):
        motion.series(found, names, 2)
    with pytest.raises(RexError, match="eye/output/x is nowhere finite"):
        motion.series(found, names[2:], 0)


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 3), st.floats(0.1, 9), st.floats(0, 2), st.floats(0, 9))
def test_frames_are_25_a_second_from_the_start_to_the_end_and_no_further(
    first: float, length: float, start: float, seconds: float
) -> None:
    if start > first + length:
        with pytest.raises(RexError, match="the motion ends after"):
            motion.frame_times(np.array([first, first + length]), start, seconds)
        return
    times = motion.frame_times(np.array([first, first + length]), start, seconds)
    assert times[0] == max(first, start)
    np.testing.assert_allclose(np.diff(times), 1 / 25)
    end = min(times[0] + seconds, first + length)
    assert times[-1] <= end + 1e-6 < times[-1] + 1 / 25 + 2e-6


def test_frames_differ_by_what_moves_alone() -> None:
    figure = style.figure(1, 1, constrained=False)
    axes = figure.add_axes((0, 0, 1, 1))
    ball, wall = Circle((0.2, 0.5), 0.1, color="red"), Circle((0.5, 0.9), 0.05, color="blue")
    for each in (ball, wall):
        axes.add_patch(each)
    film = motion.film(figure, [ball], lambda frame: ball.set_center((0.2 + 0.3 * frame, 0.5)), 3)
    assert film.frames_per_second == 25
    seen = []
    for frame in film.frames:
        red, blue = ((frame == colour).all(-1) for colour in ((255, 0, 0), (0, 0, 255)))
        seen.append((np.nonzero(red)[1].mean() / frame.shape[1], blue.sum()))
    np.testing.assert_allclose([at for at, _ in seen], [0.2, 0.5, 0.8], atol=0.01)
    assert len({pixels for _, pixels in seen}) == 1
