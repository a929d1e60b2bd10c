"""What episodes draw for themselves: within bounds, from the seed, by name, the same for every executor."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from hypothesis import given, settings
from hypothesis import strategies as st

import rexcli as rex
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.config.schema import WallSettings
from rexcli.errors import RexError
from rexcli.runtime.in_memory import InMemoryRecorder
from rexcli.runtime.stepper import Stepper
from rexcli.runtime.wall.wall_clock import check_system
from rexcli.system.adjustable import AdjustableDelay
from rexcli.system.delay_families import TruncatedNormal
from rexcli.system.init import init_graph_state
from rexcli.system.randomize import draw
from rexcli.system.ranges import Range, Ranges
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from rexcli.timelines import simulate

KEY = jax.random.key(5)


@struct.dataclass
class Tank:
    """Of a tank that a valve fills."""

    area: float = 2.0  # m^2
    leaks: jax.Array = struct.field(default_factory=lambda: jnp.array([0.1, 0.2, 0.3]))  # 1/s
    drains: int = 3


class Water(rex.Node):
    def init_params(self, rng, graph_state):
        return {"tank": Tank()}

    def init_state(self, rng, graph_state):
        return jnp.float32(1.0)

    def step(self, step_state):
        tank = step_state.params["tank"]
        inflow = step_state.inputs["valve"][-1].data
        level = step_state.state + (inflow - tank.leaks.sum() * step_state.state) / tank.area * step_state.dt
        return step_state.replace(state=level), level


class Valve(rex.Node):
    def init_params(self, rng, graph_state):
        return jnp.float32(0.5)

    def init_output(self, rng, graph_state):
        return jnp.zeros(())

    def step(self, step_state):
        return step_state, step_state.params * (2.0 - step_state.inputs["gauge"][-1].data)


class Gauge(rex.Node):
    def step(self, step_state):
        return step_state, step_state.inputs["water"][-1].data


RANGES = Ranges(
    nodes={
        "water": {
            "area": Range(1.0, 4.0, log=True, path="tank.area"),
            "leaks": Range(0.5, 1.5, operation="scale", path="tank.leaks"),
        },
    },
    edges={
        "water_gauge": Range(0.0, 0.05),
        "gauge_valve": Range(mean=0.01, std=0.005, low=0.0, operation="add"),
        "valve_water": Range(0.5, 2.0, operation="scale"),
    },
    computation={"gauge": Range(0.001, 0.004)},
)


EDGES = [
    Edge("water_gauge", "water", "gauge", delay=AdjustableDelay(0.0, 0.06, value=0.02)),
    Edge("gauge_valve", "gauge", "valve", delay=0.004, blocking=True),
    Edge("valve_water", "valve", "water", delay=TruncatedNormal(0.01, 0.003), skip=True),
]


def nodes() -> list[tuple[NodeSpec, rex.Node]]:
    return [
        (NodeSpec("water", 50.0), Water()),
        (NodeSpec("gauge", 50.0, delay=TruncatedNormal(0.003, 0.001)), Gauge()),
        (NodeSpec("valve", 20.0, delay=0.002), Valve()),
    ]


def make(ranges: Ranges | None = RANGES) -> System:
    return System(nodes(), EDGES, "valve", (), ranges)


@given(
    low=st.floats(1e-4, 10.0),
    span=st.floats(1e-3, 10.0),
    log=st.booleans(),
    normal=st.booleans(),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=25, deadline=None)
def test_draws_stay_within_their_bounds_and_reach_both_halves(low, span, log, normal, seed):
    high = low + span
    entry = Range(low, high, mean=(low + high) / 2, std=span) if normal else Range(low, high, log=log)
    entry.check("key")
    drawn = np.asarray(jax.vmap(lambda key: draw(key, entry))(jax.random.split(jax.random.key(seed), 200)))
    assert ((np.float32(low) <= drawn) & (drawn <= np.float32(high))).all()
    middle = math.sqrt(low * high) if log and not normal else (low + high) / 2
    assert 40 < (drawn < middle).sum() < 160


def test_a_normal_has_its_mean_and_deviation():
    entry = Range(mean=3.0, std=0.5)
    drawn = np.asarray(jax.vmap(lambda key: draw(key, entry))(jax.random.split(KEY, 4000)))
    assert abs(drawn.mean() - 3.0) < 0.04
    assert abs(drawn.std() - 0.5) < 0.03


def test_episodes_draw_parameters_and_adjustable_delays_of_their_own():
    system = make()
    many = jax.vmap(lambda key: init_graph_state(system, key))(jax.random.split(KEY, 50))
    tank, delay = many.params["water"]["tank"], np.asarray(many.delays["gauge"]["water"])
    assert len(np.unique(tank.area)) == len(np.unique(delay)) == 50
    assert ((tank.area >= 1.0) & (tank.area <= 4.0) & (delay <= 0.05)).all()
    factors = np.asarray(tank.leaks) / [0.1, 0.2, 0.3]
    np.testing.assert_allclose(factors, factors[:, :1].repeat(3, axis=1), rtol=1e-5)
    assert 0.5 <= factors.min() < 0.7
    assert 1.3 < factors.max() <= 1.5
    assert (np.asarray(tank.drains) == 3).all()
    assert (np.asarray(many.params["valve"]) == 0.5).all()


def test_a_draw_depends_on_the_seed_and_its_own_name_alone():
    less = Ranges(nodes={"water": {"area": RANGES.nodes["water"]["area"]}})
    for key in (KEY, jax.random.key(6)):
        whole, alone = (init_graph_state(make(ranges), key) for ranges in (RANGES, less))
        assert whole.params["water"]["tank"].area == alone.params["water"]["tank"].area
        plain = init_graph_state(make(None), key)
        for a, b in zip(jax.tree.leaves(whole.rng), jax.tree.leaves(plain.rng), strict=True):
            assert (a == b).all()
    assert (
        init_graph_state(make(), KEY).params["water"]["tank"].area
        != init_graph_state(make(), jax.random.key(6)).params["water"]["tank"].area
    )


def test_what_is_given_is_not_drawn():
    state = init_graph_state(
        make(), KEY, {"water": {"tank": Tank(area=jnp.float32(9.0))}}, delays={"gauge": {"water": 0.06}}
    )
    assert state.params["water"]["tank"].area == 9.0
    assert state.delays["gauge"]["water"] == np.float32(0.06)


def test_each_episode_of_a_timeline_changes_its_delays_by_one_number():
    plain, drawn = make(None), make()

    def both(kind: str, name: str, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
        return tuple(system.sample_delays(kind, name, 3, 8, 40, first) / 1e9 for system in (plain, drawn))

    before, after = both("edge", "valve_water")
    factors = after / before
    np.testing.assert_allclose(factors, factors[:, :1].repeat(40, axis=1), rtol=1e-5)
    assert len(np.unique(factors[:, 0].round(6))) == 8
    assert ((factors >= 0.5) & (factors <= 2.0)).all()
    np.testing.assert_array_equal(both("edge", "valve_water", 3)[1][:5], after[3:])
    before, after = both("edge", "gauge_valve")
    added = after - before
    np.testing.assert_allclose(added, added[:, :1].repeat(40, axis=1), atol=2e-9)
    assert (added >= 0).all()
    assert added[:, 0].std() > 0
    set_to = both("node", "gauge")[1]
    assert (set_to == set_to[:, :1]).all()
    assert ((set_to >= 0.001) & (set_to <= 0.004)).all()
    assert (both("node", "valve")[0] == both("node", "valve")[1]).all()


def test_stepper_and_program_give_the_same_episodes():
    system = make()
    timeline = simulate(system, seed=2, episodes=3, steps=12)
    program = Program(system, make_plan(timeline, mode="mcs", prune=False))
    roll = jax.jit(lambda start: program.rollout(program.reset(start)[0], 11)[1])
    levels = []
    for episode in range(3):
        key, seen = jax.random.fold_in(KEY, episode), InMemoryRecorder()
        stepper = Stepper(system, timeline, seen)
        state, _ = stepper.reset(stepper.init(key, eps=episode))
        for _ in range(12):
            state = stepper.run(state)
        stepper.stop()
        start = program.init(key, eps=episode)
        for node, value in start.params.items():
            assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), value, state.params[node]))
        asked = np.asarray(roll(start)["valve"].fields["output"])
        stepped = np.asarray(seen.steps("valve", episode)[1])[: len(asked)]
        np.testing.assert_allclose(asked, stepped, rtol=1e-5)
        levels.append(asked)
    assert not np.allclose(levels[0], levels[1])


def test_each_episode_has_one_joint_draw_of_a_posterior():
    draws = {"nodes/water/tank.area": np.linspace(1.0, 2.0, 7), "edges/water_gauge": np.linspace(0.01, 0.02, 7)}
    system = System(nodes(), EDGES, "valve", (), Ranges(posterior="RUN"), draws)
    many = jax.vmap(lambda key: init_graph_state(system, key))(jax.random.split(KEY, 60))
    area, delay = np.asarray(many.params["water"]["tank"].area), np.asarray(many.delays["gauge"]["water"])
    assert len(np.unique(area)) == 7
    np.testing.assert_allclose(delay, 0.01 * area, rtol=1e-5)
    with pytest.raises(RexError, match="'valve_water', which is not adjustable here; take it from that run too"):
        System(nodes(), EDGES, "valve", (), Ranges(posterior="RUN"), {"edges/valve_water": draws["edges/water_gauge"]})
    twice = Ranges(edges={"water_gauge": RANGES.edges["water_gauge"]}, posterior="RUN")
    with pytest.raises(RexError, match=r"randomize.edges.water_gauge: randomize.posterior draws it already"):
        System(nodes(), EDGES, "valve", (), twice, draws)
    with pytest.raises(RexError, match=r"randomize.posterior=RUN: on the wall clock delays are what they are"):
        check_system(system, WallSettings())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("areas", "randomize.nodes.water.areas: there is no parameter 'areas'"),
        ("tank.drains", "parameter 'tank.drains' is int32; only real numbers are drawn"),
    ],
)
def test_parameters_that_there_are_not_are_refused(name, message):
    with pytest.raises(RexError, match=message):
        init_graph_state(make(Ranges(nodes={"water": {name: Range(1.0, 2.0)}})), KEY)
