"""NaN is located: by node, field, tick and episode, whatever runs the system."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import struct

from rexcli import Environment, Node, RexError
from rexcli.compiler import recording
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.compiler.rollouts import compile_rollouts, find_nan
from rexcli.runs.recording import RecordingWriter
from rexcli.runtime.nan import NanListener, NanPlace, NanSearch
from rexcli.runtime.stepper import Stepper
from rexcli.system.delays import Constant
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from rexcli.timeline.simulate import simulate
from rexcli.timeline.timeline import Timeline
from tests.rl.tiny import TINY, train_tiny

BROKEN = 20
"""The tick of the tank in which its level is lost."""
KEY = jax.random.key(0)


@struct.dataclass
class TankState:
    level: Any
    inflow: Any


class Tank(Node):
    """Fills as the valve says, three times as fast as that speaks; its level breaks in one tick."""

    def __init__(self, broken: float = jnp.nan):
        self.broken = broken

    def init_state(self, rng, graph_state):
        return TankState(jnp.float32(0.5), jnp.float32(0.0))

    def step(self, step_state):
        inflow = step_state.inputs["valve"][-1].data[0]
        level = step_state.state.level + step_state.dt * inflow
        level = jnp.where(step_state.seq == BROKEN, self.broken, level)
        return step_state.replace(state=TankState(level, inflow)), level


class Gauge(Node):
    def step(self, step_state):
        return step_state, step_state.inputs["tank"][-1].data


class Valve(Node):
    def init_output(self, rng, graph_state):
        return jnp.zeros(1)

    def step(self, step_state):
        return step_state, jnp.full(1, 0.1)


class HalfFull(Environment):
    seconds = 0.5

    def reward(self, graph_state):
        return -jnp.abs(graph_state.state["tank"].level - 0.5)


def tank_system(broken: float = jnp.nan) -> System:
    nodes = [
        (NodeSpec("tank", 30, delay=Constant(0.0)), Tank(broken)),
        (NodeSpec("gauge", 30, delay=Constant(0.001)), Gauge()),
        (NodeSpec("valve", 10, delay=Constant(0.01)), Valve()),
    ]
    edges = [
        Edge("tank_gauge", "tank", "gauge"),
        Edge("gauge_valve", "gauge", "valve", window=2),
        Edge("valve_tank", "valve", "tank", skip=True),
    ]
    return System(nodes, edges, "valve")


def tank_timeline(system: System, episodes: int = 2) -> Timeline:
    def sample(kind, name, ticks):
        return system.sample_delays(kind, name, 0, episodes, ticks)

    return simulate(system.timing, sample, episodes=episodes, steps=12)


@functools.cache
def tank_program() -> Program:
    system = tank_system()
    return Program(system, make_plan(tank_timeline(system), observed=("tank",)))


def test_the_stepper_and_the_program_find_it_in_the_same_tick(tmp_path: Path) -> None:
    system = tank_system()
    timeline = tank_timeline(system)
    stepped, played = NanSearch(system.timing), NanSearch(system.timing)
    stepper = Stepper(system, timeline, NanListener(stepped, timeline))
    state, _ = stepper.reset(stepper.init(KEY, eps=1))
    for _ in range(12):
        state = stepper.run(state)
    with RecordingWriter(tmp_path / "recording.mcap", timeline.spec) as writer:
        recording.record(system, timeline.select([1]), writer, KEY, nan=played)
    start = timeline.steps["tank"].start[1, BROKEN] / 1e9
    assert stepped.first == NanPlace("tank", "state.level", BROKEN, start, 1)
    assert played.first == NanPlace("tank", "state.level", BROKEN, start, 0)
    assert f"node 'tank': state.level is NaN in step {BROKEN}, at {start:.6g} s of episode 1" in str(stepped.first)


def test_a_state_that_is_nan_from_the_beginning_is_said_to_be() -> None:
    search = NanSearch(tank_system().timing)
    state = tank_program().init(KEY)
    search.begin(3, state.replace(state={**state.state, "tank": TankState(jnp.float32(0), jnp.float32(jnp.nan))}))
    assert "node 'tank': state.inflow is NaN as episode 3 begins" in str(search.first)


def test_rollouts_say_where_and_how_many() -> None:
    program = tank_program()
    found = find_nan(compile_rollouts(program, KEY, 4).run(KEY), program.system.timing)
    assert found is not None
    place, struck = found
    assert (place.node, place.field, place.tick, struck) == ("tank", "state.level", BROKEN, 4)
    assert find_nan(compile_rollouts(program, KEY, 4, steps=3).run(KEY), program.system.timing) is None


@pytest.mark.slow
def test_a_training_says_which_node_broke_and_when() -> None:
    system = tank_system(jnp.inf)
    program = Program(system, make_plan(tank_timeline(system), observed=("tank",)))
    with pytest.raises(RexError, match=f"every seed.*node 'tank': state.level is infinite in step {BROKEN}, at"):
        train_tiny(HalfFull().bind(system), TINY, program=program)


class Rooted(HalfFull):
    """Its reward, and nothing else, is NaN once the tank is fuller than at the start."""

    def reward(self, graph_state):
        return jnp.sqrt(0.5 - graph_state.state["tank"].level)


@pytest.mark.slow
def test_a_reward_is_blamed_where_the_system_is_sound() -> None:
    system = tank_system(0.5)
    program = Program(system, make_plan(tank_timeline(system), observed=("tank",)))
    with pytest.raises(RexError, match=r"every seed.*the task's reward is NaN at step \d+ of 'valve'"):
        train_tiny(Rooted().bind(system), TINY, program=program)
