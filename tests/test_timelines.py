"""The timeline of a recording is what an experiment runs on, as far as the recording decides it."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest

import rexcli as rex
from rexcli.runs.rundir import Run
from rexcli.timeline.arrays import to_arrays
from rexcli.timeline.edit import drop
from rexcli.timelines import timeline_for


def saved(folder: Path, timeline: rex.Timeline) -> str:
    """A run with nothing but a timeline; returns its folder."""
    run = Run.create(folder, "pendulum", "record", argv=["rex"], seed=0, config_yaml="name: pendulum\n")
    with run:
        run.write_arrays("timeline.npz", to_arrays(timeline))
    return str(run.path)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A timeline of the pendulum, and a run with it."""
    whole = rex.simulate(rex.build(rex.compose("pendulum")), steps=30)
    return whole, saved(tmp_path_factory.mktemp("recorded"), whole)


def test_what_a_recording_lacks_is_simulated_around_it(tmp_path):
    system = rex.build(rex.compose("pendulum"))
    whole = rex.simulate(system, seed=5, episodes=2, steps=30)
    robot = saved(tmp_path, drop(whole, nodes=["world"]))
    experiment = rex.compose("pendulum", f"from={robot}")
    timeline, parents = timeline_for(experiment, system)
    assert [str(parent) for parent in parents] == [robot]
    for name in ("sensor", "agent", "actuator"):
        np.testing.assert_array_equal(timeline.steps[name].start, whole.steps[name].start)
    assert timeline.steps["world"].count.min() > 30
    program = rex.compile(experiment, system, timeline)
    state, _ = jax.jit(lambda program: program.reset(program.init(jax.random.key(0))))(program)
    assert jax.numpy.isfinite(state.state["world"].th)


def test_what_a_system_lacks_of_a_recording_is_left_out(recorded):
    whole, run = recorded
    experiment = rex.compose("pendulum", f"from={run}", "~edges.actuator_world")
    timeline, _ = timeline_for(experiment, rex.build(experiment))
    assert "actuator_world" not in timeline.messages
    assert set(timeline.steps) == set(whole.steps)


def test_a_recording_of_other_ends_is_refused(recorded):
    changes = ("edges.world_sensor.from=actuator", "edges.world_sensor.skip=true", "edges.world_sensor.name=world")
    experiment = rex.compose("pendulum", f"from={recorded[1]}", *changes)
    with pytest.raises(rex.RexError, match="edge 'world_sensor' was world -> sensor"):
        timeline_for(experiment, rex.build(experiment))


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ("nodes.world.rate=100", r"command line: nodes\.world\.rate=100: the recording was made with 50"),
        ("nodes.agent.rate=25", r"nodes\.agent\.rate=25: the recording was made with 50"),
        ("nodes.sensor.scheduling=phase", r"nodes\.sensor\.scheduling=phase: the recording was made with frequency"),
        ("nodes.agent.advance=true", r"nodes\.agent\.advance=true: the recording was made with false"),
        ("edges.sensor_agent.blocking=false", r"edges\.sensor_agent\.blocking=false: the recording was made with true"),
        ("edges.world_sensor.jitter=buffer", r"edges\.world_sensor\.jitter=buffer: the recording was made with latest"),
        ("edges.world_sensor.skip=true", r"edges\.world_sensor\.skip=true: the recording was made with false"),
        ("nodes.agent.delay=0.05", r"nodes\.agent\.delay: from=.* has the delays that were recorded"),
        ("edges.world_sensor.delay.loc=0.05", r"edges\.world_sensor\.delay: from=.* has the delays that were recorded"),
        ("timeline.steps=50", r"timeline\.steps: from=.* has a timeline of its own"),
        ("timeline.episodes=5", r"timeline\.episodes: from=.* has a timeline of its own"),
    ],
)
def test_what_a_recording_decides_cannot_be_declared_otherwise(recorded, change, refusal):
    experiment = rex.compose("pendulum", f"from={recorded[1]}", change)
    with pytest.raises(rex.RexError, match=refusal):
        timeline_for(experiment, rex.build(experiment))


@pytest.mark.parametrize(
    "change",
    ["edges.sensor_agent.window=5", "edges.world_sensor.delay={_target_: rexcli.AdjustableDelay, low: 0, high: 0.01}"],
)
def test_what_a_recording_leaves_open_is_honoured(recorded, change):
    whole, run = recorded
    experiment = rex.compose("pendulum", f"from={run}", change)
    timeline, _ = timeline_for(experiment, rex.build(experiment))
    np.testing.assert_array_equal(timeline.steps["agent"].start, whole.steps["agent"].start)
    assert timeline.spec.edge("sensor_agent").window == (5 if "window" in change else 3)
    assert timeline.spec.edge("world_sensor").adjustable == (0 if "window" in change else 10_000_000)
