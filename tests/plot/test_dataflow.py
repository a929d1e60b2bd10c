"""The data flow's picture has a bar for every step in its window, an arrow for every message, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.plot import dataflow
from rexcli.plot.declared import Declared
from rexcli.timeline.spec import NANOSECONDS, NEVER
from tests.plot.boxes import by_gid, clipped, covered
from tests.plot.fixtures import PENDULUM, chain, config_of, tangle, timeline_of

WINDOWS = [(0.0, 0.5), (0.3, 0.25), (0.0, 3.0)]
CONFIGS = {"pendulum": PENDULUM, "one": config_of(["solo"], []), "twelve": chain(12, 25), "tangle": tangle(8, 1)}


@pytest.mark.parametrize(
    ("system", "mode", "window"),
    [("pendulum", mode, window) for mode in ("arrival", "usage") for window in WINDOWS]
    + [("one", "arrival", WINDOWS[1]), ("twelve", "usage", WINDOWS[1]), ("tangle", "arrival", WINDOWS[1])],
)
def test_bars_are_the_steps_and_arrows_the_messages_of_the_window(
    system: str, mode: Any, window: tuple[float, float]
) -> None:
    config = CONFIGS[system]
    timeline = timeline_of(config, steps=40)
    episode = 1
    fig = dataflow.draw(
        timeline, Declared.from_config(config), episode=episode, start=window[0], max_seconds=window[1], mode=mode
    )
    low, high = fig.axes[0].get_xlim()
    assert low == window[0]
    assert high <= window[0] + window[1]
    assert fig.axes[1].get_xlim() == (low, high)
    for name, steps in timeline.steps.items():
        inside = steps.start[episode] < NEVER
        start, end = (times[episode][inside] / NANOSECONDS for times in (steps.start, steps.end))
        assert len(by_gid(fig, f"steps:{name}")[0].get_paths()) == ((start <= high) & (end >= low)).sum()
        assert len(by_gid(fig, f"vertices:{name}")[0].get_offsets()) == ((start >= low) & (start <= high)).sum()
        pairs = (start[:-1] <= high) & (start[1:] >= low)
        assert len(by_gid(fig, f"state:{name}")[0].get_segments()) == pairs.sum()
    for edge in timeline.spec.edges:
        messages = timeline.messages[edge.name]
        sent = timeline.steps[edge.source].end[episode]
        there = messages.arrive[episode] < NEVER
        reader = messages.reader[episode]
        used = timeline.steps[edge.target].start[episode][np.maximum(reader, 0)]
        until = np.where((reader >= 0) & (mode == "usage"), used, messages.arrive[episode])
        seen = there & (sent / NANOSECONDS <= high) & (until / NANOSECONDS >= low)
        assert (seen & (reader >= 0)).sum() == by_gid(fig, f"read:{edge.name}")[0].N
        assert len(by_gid(fig, f"unread:{edge.name}")[0].get_segments()) == (seen & (reader < 0)).sum()


@pytest.mark.parametrize("mode", ["arrival", "usage"])
def test_arrows_end_when_messages_arrive_or_are_used(mode: Any) -> None:
    timeline = timeline_of(PENDULUM, steps=30)
    fig = dataflow.draw(timeline, Declared.from_config(PENDULUM), max_seconds=9.0, mode=mode)
    for edge in timeline.spec.edges:
        messages = timeline.messages[edge.name]
        read = messages.reader[0] >= 0
        arrows = by_gid(fig, f"read:{edge.name}")[0]
        reader = messages.reader[0][read]
        ends = messages.arrive[0][read] if mode == "arrival" else timeline.steps[edge.target].start[0][reader]
        np.testing.assert_allclose(arrows.X, timeline.steps[edge.source].end[0][read] / NANOSECONDS)
        np.testing.assert_allclose(arrows.X + arrows.U, ends / NANOSECONDS, atol=1e-9)
        assert (arrows.U >= 0).all()


def test_lanes_follow_the_declared_order() -> None:
    fig = dataflow.draw(timeline_of(PENDULUM), Declared.from_config(PENDULUM))
    lanes = [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert lanes == ["world", "sensor", "actuator", "agent"]
    bottom, top = fig.axes[0].get_ylim()
    assert bottom > top, "the first lane is at the top"


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_no_label_covers_another_or_leaves_the_picture(config: dict[str, Any]) -> None:
    fig = dataflow.draw(timeline_of(config), Declared.from_config(config))
    assert covered(fig) == []
    assert clipped(fig) == []


def test_waiting_is_from_schedule_to_start() -> None:
    timeline = timeline_of(PENDULUM, steps=20)
    fig = dataflow.draw(timeline, Declared.from_config(PENDULUM), max_seconds=9.0)
    assert not by_gid(fig, "waits:world")[0].get_paths(), "the world waits for nothing"
    ends = sorted(path.get_extents().x1 for path in by_gid(fig, "waits:agent")[0].get_paths())
    starts = timeline.steps["agent"].start[0, : len(ends)] / NANOSECONDS
    assert set(np.round(ends, 9)) <= set(np.round(timeline.steps["agent"].start[0] / NANOSECONDS, 9))
    assert len(ends) > 0.5 * len(starts)


def test_episodes_and_starts_that_are_not_there_are_refused() -> None:
    timeline, declared = timeline_of(PENDULUM), Declared.from_config(PENDULUM)
    with pytest.raises(RexError, match="episode 3: the timeline has 3"):
        dataflow.draw(timeline, declared, episode=3)
    with pytest.raises(RexError, match="start 99"):
        dataflow.draw(timeline, declared, start=99.0)


def test_unless_told_a_fast_system_is_drawn_for_as_long_as_its_steps_can_be_told_apart() -> None:
    for rate, seconds in ((50.0, 0.5), (1000.0, 0.04)):
        config = {**PENDULUM, "nodes": {name: {**node, "rate": rate} for name, node in PENDULUM["nodes"].items()}}
        fig = dataflow.draw(timeline_of(config, episodes=1, steps=round(rate)), Declared.from_config(config))
        assert fig.axes[0].get_xlim() == pytest.approx((0.0, seconds))
