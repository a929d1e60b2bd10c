"""An episode in real time: every step once, when the rules allow."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from tests.runtime.wall.robots import Counter, Diary, chain, sleeper
from tests.runtime.wall.test_session import check_rules, record


def test_every_step_is_called_once_and_the_last_tick_of_the_supervisor_not_at_all(tmp_path: Path) -> None:
    nodes = [Diary(), Diary(), Diary()]
    outcome, recording = record(chain(*nodes), tmp_path, steps=40)
    timeline = recording.timeline()
    assert nodes[2].ticks == list(range(40))
    assert timeline.steps["n2"].count.tolist() == [41]
    for name, node in zip(("n0", "n1"), nodes, strict=False):
        assert node.ticks == list(range(int(timeline.steps[name].count[0])))
    for node in nodes:
        assert node.calls[0] == "startup"
        assert node.calls[-1] == "stop"
        assert node.calls.count("startup") == node.calls.count("stop") == 1
    assert outcome.steps == 40
    check_rules(timeline, dict(outcome.lateness))


def test_episodes_follow_one_another_each_from_its_own_start(tmp_path: Path) -> None:
    outcome, recording = record(chain(Counter(), Counter()), tmp_path, steps=10, episodes=3)
    timeline = recording.timeline()
    assert timeline.num_steps.tolist() == [10, 10, 10]
    assert recording.values("n0", "state")[""][:, 0].tolist() == [1, 1, 1]
    assert outcome.episodes == 3
    check_rules(timeline, dict(outcome.lateness))


def test_an_episode_of_some_seconds_ends_then(tmp_path: Path) -> None:
    node = Diary()
    _, recording = record(chain(node, rate=100.0), tmp_path, seconds=0.25)
    start = recording.timeline().steps["n0"].start[0]
    assert 25 <= len(start) == len(node.ticks) <= 26
    assert start[-1] <= 0.25e9


@pytest.mark.parametrize(("scheduling", "missed"), [("frequency", True), ("phase", False)])
def test_a_late_node_keeps_its_spacing_or_catches_up(tmp_path: Path, scheduling: str, missed: bool) -> None:
    node = Diary(sleeper(0.06, tick=3))
    outcome, recording = record(chain(node, rate=100.0, scheduling=scheduling), tmp_path, steps=30)
    check_rules(recording.timeline(), dict(outcome.lateness))
    assert node.ticks == list(range(30))
    assert (outcome.punctuality[0].missed >= 4) == missed


def test_a_step_may_say_that_it_took_place_later_but_not_after_its_end(tmp_path: Path) -> None:
    def act(state):
        time.sleep(0.004)
        by = [0.003, 5.0, -1.0][int(state.seq) % 3]
        return state.replace(ts=state.ts + by), np.float32(0)

    _, recording = record(chain(Diary(act), rate=50.0), tmp_path, steps=9)
    steps = recording.timeline().steps["n0"]
    took = (steps.end - steps.start)[0, :9] / 1e9
    assert (took[0::3] >= 0.0009).all()
    np.testing.assert_array_equal(took[1::3], 0.0)
    assert (took[2::3] >= 0.004).all()


def test_a_node_that_blocks_does_not_hold_up_the_others(tmp_path: Path) -> None:
    slow, fast = Diary(sleeper(0.08)), Diary()
    nodes = [(NodeSpec("slow", 10.0), slow), (NodeSpec("fast", 200.0), fast)]
    edge = Edge("e", "slow", "fast", "slow", expected_delay=0.0)
    outcome, recording = record(System(nodes, [edge], "fast"), tmp_path, seconds=0.6)
    check_rules(recording.timeline(), dict(outcome.lateness))
    assert len(fast.ticks) > 100
    assert outcome.punctuality[1].late_p50 < 0.02
