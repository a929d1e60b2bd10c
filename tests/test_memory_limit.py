"""What no machine holds is refused before it is begun, by the command and by Python."""

from __future__ import annotations

import resource

import jax
import pytest

import rexcli as rex
from rexcli import memory_limit
from rexcli.pipeline import environment, timeline_for, training_setup


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["record.steps=1000000000000"],
            r"1 episodes of 2e\+10 s take about .* TiB of memory, and .* are free; give .*record\.steps",
        ),
        (["timeline.episodes=1000000000"], r"1000000000 episodes of .* s take about .*timeline\.episodes"),
        (["nodes.agent.delay=1e6"], r"1 episodes of 3e\+08 s take about .* TiB"),
        (
            ["edges.world_sensor.delay=1e6"],
            r"its delays let supervisor 'agent' begin after 1e\+06 s",
        ),
    ],
)
def test_timelines(overrides, message):
    experiment = rex.compose("pendulum", *overrides)
    system = rex.build(experiment)
    simulate = timeline_for if "timeline" in overrides[0] else rex.record
    with pytest.raises(rex.RexError, match=message):
        simulate(experiment, system)


def test_windows():
    experiment = rex.compose("pendulum", "edges.sensor_agent.window=1000000000", "timeline.steps=3")
    system = rex.build(experiment)
    with pytest.raises(rex.RexError, match=r"windows of 1000000000 messages of edge 'sensor_agent' .* take about .*"):
        rex.compile(experiment, system, rex.simulate(system, steps=3))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("ppo.num_envs=1000000000000", r"ppo\.num_envs x num_steps: these are 32000000000000 samples an update"),
        ("ppo.total_timesteps=1000000000000000000", r"ppo\.total_timesteps: these are 244140625000000 updates"),
        ("ppo.num_seeds=1000000000", r"1000000000 seeds of 128 environments .* take about .* ppo\.num_seeds"),
        ("ppo.num_hidden_units=1000000", r"networks of 2 x 1000000 units take about .* TiB"),
    ],
)
def test_trainings(override, message):
    experiment = rex.compose("pendulum", override, "timeline.steps=60", "timeline.episodes=2", "eval.seconds=1.2")
    system = rex.build(experiment)
    task = environment(experiment, system)
    program = rex.compile(experiment, system, rex.simulate(system, steps=250))
    with pytest.raises(rex.RexError, match=message):
        training_setup(experiment, program, task, program)


def test_rollouts():
    experiment = rex.compose("pendulum", "rollout.num=1000000000000")
    system = rex.build(experiment)
    program = rex.compile(experiment, system, rex.simulate(system, steps=5))
    with pytest.raises(rex.RexError, match=r"1000000000000 rollouts of 5 steps take about .*rollout\.num"):
        rex.rollout(experiment, program)


@pytest.mark.slow
def test_what_is_taken_for_rollouts_is_what_they_take(monkeypatch):
    """Within a factor of three: what is kept of them, twice."""
    experiment = rex.compose("pendulum", "rollout.num=1000")
    system = rex.build(experiment)
    program = rex.compile(experiment, system, rex.simulate(system, steps=50))
    asked: list[float] = []
    monkeypatch.setattr(memory_limit, "check", lambda size, what, fix: asked.append(size))
    done = rex.rollout(experiment, program)
    kept = sum(leaf.nbytes for record in done.record.values() for leaf in jax.tree.leaves(record.fields))
    assert kept < asked[-1] < 6 * kept


def test_sizes_are_shown_for_people():
    assert memory_limit.shown(1536) == "1.5 KiB"
    assert memory_limit.shown(3 * 2**40) == "3 TiB"
    assert 2**20 < memory_limit.available() < 2**62


def test_a_limit_of_the_process_counts_what_it_has_already(monkeypatch):
    there = memory_limit.available()
    with open("/proc/self/statm") as file:
        held = int(file.read().split()[0]) * resource.getpagesize()
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (held + 2**20, resource.RLIM_INFINITY))
    assert memory_limit.available() <= min(there, 2**21)
