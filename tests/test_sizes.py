"""What no machine holds is refused before it is begun, by the command and by Python."""

from __future__ import annotations

import jax
import pytest

import rexcli as rex
from rexcli import sizes
from rexcli.road import timeline_for


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["record.steps=1000000000000"],
            r"1 episodes of 2e\+10 s take about .* TiB of memory, and .* are free; give .*record\.steps",
        ),
        (["timeline.episodes=1000000000"], r"1000000000 episodes of .* s take about .*timeline\.episodes"),
        (["nodes.agent.delay=1e12"], r"1 episodes of 3e\+14 s take about .* EiB"),
        (
            ["edges.world_sensor.delay=1e12"],
            r"its delays let supervisor 'agent' begin after 1e\+12 s",
        ),
    ],
)
def test_timelines(overrides, message):
    experiment = rex.compose("pendulum", *overrides)
    system = rex.build(experiment)
    simulate = timeline_for if "timeline" in overrides[0] else rex.record
    with pytest.raises(rex.RexError, match=message):
        simulate(experiment, system)


def test_rollouts():
    experiment = rex.compose("pendulum", "rollout.num=1000000000000")
    system = rex.build(experiment)
    program = rex.compile(experiment, system, rex.simulate(system, steps=5))
    with pytest.raises(rex.RexError, match=r"1000000000000 rollouts of 5 steps take about .*rollout\.num"):
        rex.rollout(experiment, program)


def test_what_is_taken_for_rollouts_is_what_they_take(monkeypatch):
    """Within a factor of three: what is kept of them, twice."""
    experiment = rex.compose("pendulum", "rollout.num=1000")
    system = rex.build(experiment)
    program = rex.compile(experiment, system, rex.simulate(system, steps=50))
    asked: list[float] = []
    monkeypatch.setattr(sizes, "check", lambda size, what, fix: asked.append(size))
    done = rex.rollout(experiment, program)
    kept = sum(leaf.nbytes for record in done.record.values() for leaf in jax.tree.leaves(record.fields))
    assert kept < asked[-1] < 6 * kept


def test_sizes_are_shown_for_people():
    assert sizes.shown(1536) == "1.5 KiB"
    assert sizes.shown(3 * 2**40) == "3 TiB"
    assert 2**20 < sizes.available() < 2**62
