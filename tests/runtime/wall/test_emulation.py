"""Declared delays and losses on the wall clock are those of the simulated clock, kept in real time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rexcli import GilbertElliott, LogNormal
from rexcli.config.schema import WallSettings
from rexcli.errors import DeclarationError
from rexcli.runtime.wall.wall_clock import WallClock
from rexcli.system.adjustable import AdjustableDelay
from rexcli.system.delays import Constant
from rexcli.system.node import Node
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from rexcli.timeline.spec import NEVER
from tests.runtime.wall.robots import Counter, Diary
from tests.runtime.wall.test_session import check_rules, record

EMULATE = WallSettings(emulate=True, priority=0)
STEPS = 100
MS = 1_000_000


def three(reader: Node | None = None, **camera_edge: object) -> System:
    nodes = [
        (NodeSpec("world", 100, delay=Constant(0.002)), Counter()),
        (NodeSpec("camera", 50, delay=LogNormal(-5.0, 0.3)), Counter()),
        (NodeSpec("agent", 50, delay=Constant(0.003)), reader or Counter()),
    ]
    options = {"delay": LogNormal(-4.6, 0.5), **camera_edge}
    edges = [
        Edge("world_camera", "world", "camera"),
        Edge("camera_agent", "camera", "agent", window=2, **options),  # type: ignore[arg-type]
        Edge("agent_world", "agent", "world", skip=True, delay=Constant(0.001), loss=0.2),
    ]
    return System(nodes, edges, "agent")


def test_what_is_measured_is_what_is_declared_and_keeps_the_rules_of_time(tmp_path: Path) -> None:
    system = three()
    outcome, recording = record(system, tmp_path, EMULATE, steps=STEPS)
    timeline = recording.timeline()
    for name, steps in timeline.steps.items():
        ticks = int(steps.count[0]) - (name == "agent")
        took = (steps.end - steps.start)[0, :ticks]
        drawn = system.sample_delays("node", name, 0, 1, ticks)[0]
        assert (took >= drawn).all()
        assert np.mean(took - drawn < MS // 10) > 0.8, f"{name} took other times than those declared"
        assert outcome.overruns[name] == int((took > drawn + MS).sum())
    messages, sent = timeline.messages["camera_agent"], timeline.steps["camera"].end
    sampled = system.sample_delays("edge", "camera_agent", 0, 1, sent.shape[1])
    want = np.maximum.accumulate(sent + sampled, axis=1)
    assert (messages.arrive - want >= 0).all()
    assert np.mean(messages.arrive - want < MS) > 0.9
    lost = timeline.messages["agent_world"].arrive[0] >= NEVER
    sends = int(timeline.steps["agent"].count[0]) - 1
    np.testing.assert_array_equal(lost[:sends], system.sample_delays("loss", "agent_world", 0, 1, sends)[0])
    assert lost[:sends].any()
    check_rules(timeline, dict(outcome.lateness))


@pytest.mark.slow
def test_a_blocking_reader_waits_for_what_is_lost_until_it_would_have_been_there(tmp_path: Path) -> None:
    system = three(blocking=True, delay=Constant(0.012), expected_delay=0.0, loss=GilbertElliott(share=0.3, burst=3))
    _, recording = record(system, tmp_path, EMULATE, steps=STEPS)
    timeline = recording.timeline()
    arrive, reader = timeline.messages["camera_agent"].arrive[0], timeline.messages["camera_agent"].reader[0]
    lost = arrive >= NEVER
    assert 0 < lost.sum() < len(lost)
    assert (reader[lost] == -1).all()
    start, end = timeline.steps["agent"].start[0], timeline.steps["camera"].end[0]
    for tick in range(1, STEPS):  # tick k requires messages 0 to k
        assert start[tick] >= end[: tick + 1].max() + 12 * MS


@pytest.mark.slow
def test_messages_overtake_one_another_where_they_may(tmp_path: Path) -> None:
    _, recording = record(three(reorder=True, delay=LogNormal(-4.0, 1.0)), tmp_path, EMULATE, steps=STEPS)
    timeline = recording.timeline()
    arrive = timeline.messages["camera_agent"].arrive[0]
    there = arrive[arrive < NEVER]
    assert (np.diff(there) < 0).any()


def test_a_robot_and_what_only_a_simulation_can_do_are_refused_by_name() -> None:
    with pytest.raises(DeclarationError, match=r"wall.emulate=true: node 'agent' may be a robot's hardware.*jit = Fal"):
        WallClock(three(Diary()), settings=EMULATE)
    for interpolation in ("linear", "hold"):
        adjustable = AdjustableDelay(0.0, 0.01, interpolation=interpolation)
        with pytest.raises(DeclarationError, match=r"edges.camera_agent.delay=.*interpolation: latest"):
            WallClock(three(delay=adjustable), settings=EMULATE)
    with pytest.raises(DeclarationError, match=r"edges.agent_world.loss=20% lost.*wall.emulate=true"):
        WallClock(three())


def test_a_step_that_is_slower_than_it_is_declared_is_counted(tmp_path: Path) -> None:
    from rexcli.runtime.wall.emulation import Emulation, overrun_warnings

    emulation = Emulation(three(), 0, 0, None, steps=5)  # type: ignore[arg-type]
    assert emulation.busy("agent", 0, MS) == 3 * MS
    assert emulation.busy("agent", 1, 5 * MS) == 5 * MS
    assert emulation.overruns == {"world": 0, "camera": 0, "agent": 1}
    assert "node 'agent': 1 of 2 steps" in overrun_warnings(emulation.overruns, {"agent": 2})[0]
