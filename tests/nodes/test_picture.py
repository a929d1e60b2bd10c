"""The moving pendulum: the right frames at the right pace, with the weight where the angle says."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from nodes.pendulum import picture
from nodes.pendulum.picture import Motion
from rexcli.errors import RexError
from rexcli.plot.declared import Declared
from rexcli.plot.motion import frame_times
from rexcli.plot.trajectories import from_recording, from_rollouts
from tests.plot.fixtures import PENDULUM, pendulum_rollouts, recording

COLOUR = "#0000ff"


def _still(angle: float, action: float = 0.0) -> Motion:
    time = np.arange(11) / 50
    return Motion(time, np.full(11, angle), time, np.full(11, action))


def _middle(frame: np.ndarray, colour: str) -> np.ndarray:
    """Mean `(x, y)` of the pixels of a colour, y upwards."""
    rows, columns = np.nonzero((np.abs(frame / 255 - np.asarray(to_rgb(colour))) < 0.1).all(-1))
    return np.asarray([columns.mean(), len(frame) - rows.mean()])


def test_the_weight_is_up_at_zero_down_at_pi_and_right_at_half_pi() -> None:
    up, down, right = (
        _middle(picture.draw(_still(angle), colour=COLOUR).frames[0], COLOUR) for angle in (0.0, np.pi, np.pi / 2)
    )
    hub = (up + down) / 2
    assert up[1] > hub[1] + 50
    assert up[0] == pytest.approx(down[0], abs=1)
    assert right[0] - hub[0] == pytest.approx(up[1] - hub[1], abs=2)
    assert right[1] == pytest.approx(hub[1], abs=2)


def test_the_bar_follows_the_actions_sign() -> None:
    bar = "#e69f00"
    left, right = (_middle(picture.draw(_still(0.0, u), colour=COLOUR).frames[2], bar)[0] for u in (-1.0, 1.0))
    width = picture.draw(_still(0.0), colour=COLOUR).frames[0].shape[1]
    assert left < width / 2 < right
    assert left + right == pytest.approx(width, abs=3)


def test_frames_are_25_a_second_within_the_motion() -> None:
    motion = picture.motion_of(from_rollouts(pendulum_rollouts(), Declared.from_config(PENDULUM)), 1)
    times = frame_times(motion.time, seconds=1.0)
    np.testing.assert_allclose(np.diff(times), 0.04)
    assert (len(times), times[0]) == (26, motion.time[0])
    assert frame_times(motion.time, seconds=99.0)[-1] <= motion.time[-1]
    assert len(picture.draw(motion, colour=COLOUR, seconds=1.0).frames) == 26
    with pytest.raises(RexError, match="start 99"):
        frame_times(motion.time, start=99.0)


def test_turning_past_pi_takes_the_short_way() -> None:
    """A wrapped angle that jumps from pi to -pi hangs still; it does not whirl round between two frames."""
    time = np.asarray([0.0, 0.03, 0.05, 0.09])
    motion = Motion(time, np.asarray([3.13, 3.13, -3.13, -3.13]), np.zeros(0), np.zeros(0))
    for frame in picture.draw(motion, colour=COLOUR).frames:
        x, y = _middle(frame, COLOUR)
        assert y < len(frame) / 2
        assert x == pytest.approx(frame.shape[1] / 2, abs=3)


def test_motion_and_action_come_from_recordings_too() -> None:
    motion = picture.motion_of(from_recording(recording(), recording().timeline(), Declared.from_config(PENDULUM)))
    assert len(motion.time) == len(motion.angle) > 90
    assert len(motion.action) > 90
    with pytest.raises(RexError, match="episode 1"):
        picture.motion_of(from_recording(recording(), recording().timeline(), Declared.from_config(PENDULUM)), 1)
    with pytest.raises(RexError, match="world/state/th"):
        picture.motion_of([])
