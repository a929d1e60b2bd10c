"""Trajectories: bands hold their median, unfilled entries are nowhere, and what is shown is what was asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rexcli.errors import RexError
from rexcli.plot import trajectories
from rexcli.plot.declared import Declared
from rexcli.plot.trajectories import Choice, Quantity, band, choose
from rexcli.timeline.spec import NANOSECONDS
from tests.plot.boxes import by_gid, clipped, covered
from tests.plot.boxes import words as words_of
from tests.plot.fixtures import PENDULUM, pendulum_rollouts, recording

DECLARED = Declared.from_config(PENDULUM)
NUMBERS = st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")), st.just(float("inf")))


@settings(max_examples=50, deadline=None)
@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 6)), elements=NUMBERS))
def test_bands_hold_their_median_and_stay_within_the_data(values: np.ndarray) -> None:
    time = np.broadcast_to(np.arange(values.shape[1]) / 50, values.shape)
    at, percentiles = band(Quantity("a/state", "red", time, values[..., None]))
    assert (np.diff(percentiles, axis=0) >= -1e-6).all()
    assert np.isfinite(percentiles).all()
    assert (np.diff(at) > 0).all()
    finite = np.isfinite(values)
    assert len(at) == (finite.sum(0) * 2 >= max(1, len(values))).sum()
    if percentiles.size:
        assert values[finite].min() <= percentiles.min() <= percentiles.max() <= values[finite].max()


def test_unfilled_entries_are_left_out() -> None:
    found = {entry.name: entry for entry in trajectories.from_rollouts(pendulum_rollouts(), DECLARED)}
    angle = found["world/state/th"]
    assert np.isnan(angle.values[::5, -3:]).all()
    assert np.isnan(angle.time[::5, -3:]).all()
    assert np.isfinite(angle.values[1]).all()
    fig = trajectories.draw(Choice(list(found.values())))
    [line] = by_gid(fig, "median:world/state/th:0")
    np.testing.assert_allclose(line.get_ydata(), band(angle)[1][2])


def test_a_recordings_rows_are_its_numbers_over_its_steps() -> None:
    record = recording()
    found = trajectories.from_recording(record, record.timeline(), DECLARED)
    assert [entry.name for entry in found] == [
        *("world/state/th", "world/state/thd", "sensor/output/th", "agent/output/action")
    ], "an image is no trajectory"
    fig = trajectories.draw(Choice(found))
    [line] = by_gid(fig, "episode:world/state/th:0")
    starts = record.timeline().steps["world"].start[0] / 1e9
    np.testing.assert_allclose(line.get_xdata(), starts)
    assert line.get_drawstyle() == "steps-post"
    np.testing.assert_allclose(line.get_ydata(), record.values("world", "state")["th"][0])
    [action] = [entry for entry in found if entry.name == "agent/output/action"]
    steps = int(record.timeline().num_steps[0])
    assert np.isfinite(action.values[0, :steps]).all()
    assert np.isnan(action.values[0, steps:]).all(), "the tick that ends an episode sends nothing"


def test_patterns_choose_and_limits_are_kept() -> None:
    found = trajectories.from_rollouts(pendulum_rollouts(), DECLARED)
    names = [entry.name for entry in choose(found, fields=("world/*",)).shown]
    assert names == ["world/state/th", "world/state/thd"]
    few = choose(found, max_rows=2)
    assert (len(few.shown), few.hidden) == (2, len(found) - 2)
    with pytest.raises(RexError, match=r"match nothing.*world/state/th"):
        choose(found, fields=("nosuch/*",))


def test_actions_come_first_and_what_says_nothing_new_is_said_in_words() -> None:
    found = trajectories.from_rollouts(pendulum_rollouts(), DECLARED)
    [angle] = [entry for entry in found if entry.name == "world/state/th"]
    again = replace(angle, name="world/output/angle")
    other = replace(angle, name="sensor/output/angle")
    mass = replace(angle, name="world/state/mass", values=np.full_like(angle.values, 0.05))
    start = replace(angle, name="agent/state/start", values=np.broadcast_to(angle.values[:, 5:6], angle.values.shape))
    choice = choose([mass, start, *found, again, other], "agent", max_rows=20)
    assert list(choice.constant) == [mass, start]
    assert list(choice.same) == [again]
    assert [entry.name for entry in choice.shown] == [*(entry.name for entry in found), other.name]
    words = "\n".join(text for text, _ in words_of(trajectories.draw(choice)))
    assert "constant: world.state.mass 0.05, agent.state.start" in words
    assert "the same as in the state: world.output.angle" in words
    one = choose([entry for entry in found if not entry.name.startswith("env/")], "agent", max_rows=1)
    assert [entry.name for entry in one.shown] == ["agent/output/action"]
    assert choose([mass]).shown == [mass], "if nothing else is there"


@pytest.mark.parametrize("episodes", [1, 4])
def test_declared_angles_stay_within_a_turn_and_no_line_crosses_the_picture(episodes: int) -> None:
    time = np.broadcast_to(np.arange(200) / 50, (episodes, 200))
    turning = Quantity("world/state/th", "red", time, np.linspace(0, 20, 200)[None, :, None].repeat(episodes, 0))
    fig = trajectories.draw(Choice([turning]), angles=["*/th"])
    lines = by_gid(fig, "episode:")
    assert len(lines) == episodes
    assert not by_gid(fig, "median:")
    for line in lines:
        drawn = np.asarray(line.get_ydata())
        assert np.nanmax(np.abs(drawn)) <= np.pi
        assert np.nanmax(np.abs(np.diff(drawn))) < 0.2
    assert len(by_gid(trajectories.draw(Choice([turning])), "median:")) == (episodes > 1), "nothing is declared"


def test_vectors_show_their_components_and_wide_ones_do_not() -> None:
    time = np.broadcast_to(np.arange(5) / 50, (2, 5))
    values = {f"agent/output/{n}": np.random.default_rng(n).normal(size=(2, 5, n)) for n in (3, 40)}
    found = trajectories.from_rollouts({**values, "agent/ts": time, "agent/seq": np.ones((2, 5), int)}, DECLARED)
    assert [entry.name for entry in found] == ["agent/output/3"]
    assert len(by_gid(trajectories.draw(Choice(found)), "median:agent/output/3")) == 3


@pytest.mark.parametrize("num", [1, 9])
def test_no_label_covers_another_or_leaves_the_picture(num: int) -> None:
    found = trajectories.from_rollouts(pendulum_rollouts(num), DECLARED)
    long = [Quantity(f"{'n' * 25}/state/{'k' * 25}.{i}", "red", found[0].time, found[0].values) for i in range(3)]
    large = [Quantity("env/reward", "red", entry.time, 1e6 * entry.values) for entry in found[:2]]
    for shown in (found, long, large):
        fig = trajectories.draw(Choice(shown))
        assert covered(fig) == []
        assert clipped(fig) == []


@pytest.mark.parametrize("size", [3, 7, 13, 25])
def test_what_is_only_said_in_words_stays_in_the_picture(size: int) -> None:
    found = trajectories.from_rollouts(pendulum_rollouts(1), DECLARED)
    cars = [Quantity(f"car_{i}/output/{'k' * size}", "red", found[0].time, found[0].values) for i in range(30)]
    assert clipped(trajectories.draw(Choice(found[:1], same=cars, constant=cars))) == []


def test_an_episode_that_is_not_there_and_nothing_at_all_are_refused() -> None:
    found = trajectories.from_rollouts(pendulum_rollouts(4), DECLARED)
    with pytest.raises(RexError, match="episode 4: there are 4"):
        trajectories.draw(Choice(found), episode=4)
    with pytest.raises(RexError, match="nothing"):
        trajectories.choose([])


@pytest.mark.parametrize("episodes", [1, 3])
def test_a_long_recording_is_thinned_and_loses_no_extreme_of_one_episode(episodes: int) -> None:
    ticks = 5 * trajectories.MOST + 7
    start = np.broadcast_to(np.arange(ticks) * 10**6, (episodes, ticks))
    time = start / NANOSECONDS
    values = np.random.default_rng(0).normal(size=(episodes, ticks, 2)).astype(np.float32)
    values[0, ticks // 3] = 50, -60

    def gathered(seconds: tuple[float, float] | None) -> trajectories.Quantity:
        samples = trajectories._Samples("a", start, np.full(episodes, ticks), 2, seconds)
        for episode in range(episodes):
            for begin in range(0, ticks, 777):
                seq = np.arange(begin, min(begin + 777, ticks))
                samples.add(np.full(len(seq), episode), seq, values[episode, seq])
        return samples.quantity("#000000")

    whole = gathered(None)
    at, thin = whole.time, whole.values
    assert at.shape == thin.shape[:2]
    assert at.shape[1] <= 2 * trajectories.MOST
    assert (np.diff(at, axis=1) > 0).all()
    if episodes == 1:
        assert (thin.max(axis=1) == values.max(axis=1)).all()
        assert (thin.min(axis=1) == values.min(axis=1)).all()
        peak = at[0, thin[0, :, 0].argmax()]
        assert abs(peak - time[0, ticks // 3]) < 0.01
    else:
        places = np.searchsorted(time[0], at[0])
        np.testing.assert_array_equal(thin, values[:, places])
    part = gathered((1.0, 2.0))
    assert (part.time[0, 0], part.time[0, -1]) == (1.0, 2.0)
    np.testing.assert_array_equal(part.values, values[:, 1000:2001])
