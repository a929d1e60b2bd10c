"""Adjustable delays: what is refused, how they are declared, and where an episode has its values from."""

from __future__ import annotations

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rexcli as rex
from rexcli.errors import RexError
from rexcli.system.adjustable import AdjustableDelay, blend, hold, hold_shares, linear_share
from rexcli.system.delays import Constant, as_delay
from rexcli.system.init import init_graph_state
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System

KEY = jax.random.key(0)


class Source(rex.Node):
    def step(self, step_state):
        return step_state, step_state.ts


class Reader(rex.Node):
    """A reader whose `init_delays` is an argument."""

    def __init__(self, delays=None):
        self.delays = delays

    def init_params(self, rng, graph_state):
        return jnp.float32(0.03)

    def init_delays(self, rng, graph_state):
        return self.delays(rng, graph_state) if self.delays else {}

    def step(self, step_state):
        return step_state, None


def make(delays=None, *, delay=None, **options) -> System:
    delay = AdjustableDelay(0.0, 0.05) if delay is None else delay
    nodes = [(NodeSpec("eye", 50.0), Source()), (NodeSpec("brain", 10.0), Reader(delays))]
    edges = [Edge("sight", "eye", "brain", "view", delay=delay, **options), Edge("other", "eye", "brain", "fixed")]
    return System(nodes, edges, "brain")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 0.05, "high": 0.05}, "from 0.05 to 0.05 s: give low, 0 or more, and a greater high"),
        ({"low": -0.01, "high": 0.05}, "from -0.01 to 0.05 s"),
        ({"low": 0.0, "high": math.inf}, "from 0 to inf s"),
        ({"low": 0.0, "high": 0.05, "value": 0.06}, "value 0.06: give a number of seconds between"),
        ({"low": 0.0, "high": 0.05, "value": math.nan}, "value nan"),
        ({"low": 0.0, "high": 0.05, "interpolation": "cubic"}, "'cubic': give 'latest', 'linear' or 'hold'"),
    ],
)
def test_what_is_no_range_is_refused(arguments, message):
    with pytest.raises(RexError, match=message):
        AdjustableDelay(**arguments)


def test_the_timeline_has_the_shortest_and_expects_the_longest():
    delay = AdjustableDelay(0.01, 0.05, value=0.02)
    assert as_delay(delay) is delay
    assert (np.asarray(delay.sample(KEY, 3)) == np.float32(0.01)).all()
    system = make(delay=delay)
    assert (system.sample_delays("edge", "sight", 0, 2, 3) == 10_000_000).all()
    edge = system.timing.edge("sight")
    assert (edge.expected_delay, edge.adjustable, edge.window) == (50_000_000, 40_000_000, 1)
    assert system.timing.edge("other").adjustable == 0
    assert make(delay=delay, expected_delay=0.03).timing.edge("sight").expected_delay == 30_000_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocking": True}, "edges.sight.delay=.* with blocking: true it would; set blocking: false, or"),
        ({"jitter": "buffer"}, "edges.sight.delay=.* with jitter: buffer it would; set jitter: latest, or"),
    ],
)
def test_edges_on_which_the_delay_would_move_steps_are_refused(options, message):
    with pytest.raises(RexError, match=message):
        make(**options)


def test_a_computation_delay_is_not_adjustable():
    with pytest.raises(RexError, match=r"nodes.eye.delay=0 s, adjustable .* computation delay"):
        System([(NodeSpec("eye", 50.0, delay=AdjustableDelay(0.0, 0.1)), Source())], [], "eye")


def test_yaml_declares_it_and_mistakes_name_the_file():
    delay = "edges.actuator_world.delay={_target_:rexcli.AdjustableDelay,low:0.0,high:0.03,interpolation:linear}"
    edge = rex.build(rex.compose("pendulum", delay)).edges["actuator_world"]
    assert isinstance(edge.delay, AdjustableDelay)
    assert (edge.delay.high, edge.delay.value, edge.delay.interpolation) == (0.03, 0.0, "linear")
    for overrides, parts in [
        ([delay.replace("linear", "linaer")], ["edges.actuator_world.delay.interpolation=linaer", "'linear'"]),
        ([delay.replace("0.03", "-1")], ["command line: edges.actuator_world.delay", "from 0 to -1 s"]),
        (
            [delay, "edges.actuator_world.jitter=buffer"],
            ["line: edges.actuator_world.delay=", "jitter: latest"],
        ),
        ([delay.replace("actuator_world", "sensor_agent")], ["edges.sensor_agent.delay=", "blocking: false"]),
    ]:
        with pytest.raises(RexError) as caught:
            rex.build(rex.compose("pendulum", *overrides))
        for part in parts:
            assert part in str(caught.value)


# ------------------------------------------------------------------ values of an episode


def value(system: System, **options) -> float:
    return float(init_graph_state(system, KEY, **options).delays["brain"]["view"])


def test_from_outside_goes_before_the_node_s_own_before_the_declared_before_low():
    declared = AdjustableDelay(0.01, 0.05, value=0.04)
    own = make(lambda rng, graph_state: {"view": 0.02}, delay=declared)
    assert value(own, delays={"brain": {"view": 0.03}}) == np.float32(0.03)
    assert value(own) == np.float32(0.02)
    assert value(make(delay=declared)) == np.float32(0.04)
    assert value(make(delay=AdjustableDelay(0.01, 0.05))) == np.float32(0.01)


def test_only_adjustable_inputs_have_a_value():
    assert list(init_graph_state(make(), KEY).delays["brain"]) == ["view"]
    assert init_graph_state(make(delay=Constant(0.01)), KEY).delays == {}


def test_init_delays_may_draw_and_may_look_at_parameters():
    drawn = make(lambda rng, graph_state: {"view": jax.random.uniform(rng, maxval=0.05)})
    many = jax.vmap(lambda key: init_graph_state(drawn, key).delays["brain"]["view"])(jax.random.split(KEY, 100))
    assert len(np.unique(many)) == 100
    assert 0.015 < many.mean() < 0.035
    shared = make(lambda rng, graph_state: {"view": 2 * graph_state.params["brain"]})
    slope = jax.grad(lambda p: init_graph_state(shared, KEY, {"brain": p}).delays["brain"]["view"])(0.01)
    assert slope == 2


def test_init_delays_changes_no_other_random_number():
    plain, own = make(), make(lambda rng, graph_state: {"view": jax.random.uniform(rng)})
    for a, b in zip(*(jax.tree.leaves(init_graph_state(s, KEY).rng) for s in (plain, own)), strict=True):
        np.testing.assert_array_equal(jax.random.key_data(a), jax.random.key_data(b))


@pytest.mark.parametrize(
    ("delays", "message"),
    [
        ({"fixed": 0.01}, "input 'fixed': the delay of edge 'other' is not adjustable; declare it as"),
        ({"vieww": 0.01}, "no input is called 'vieww'; did you mean 'view'?"),
        ({"view": jnp.zeros(3)}, "input 'view': an array of shape (3,): give one number of seconds"),
    ],
)
def test_values_for_what_is_no_adjustable_input_are_refused(delays, message):
    with pytest.raises(RexError, match=re.escape(f"node 'brain': init_delays: {message}")):
        init_graph_state(make(lambda rng, graph_state: delays), KEY)
    with pytest.raises(RexError, match=re.escape(f"delays: node 'brain': {message}")):
        init_graph_state(make(), KEY, delays={"brain": delays})
    with pytest.raises(RexError, match="delays: no node is called 'brian'; did you mean 'brain'"):
        init_graph_state(make(), KEY, delays={"brian": delays})


# ------------------------------------------------------------------ between two messages


def test_floats_are_interpolated_and_the_rest_is_the_older_s():
    older = {"x": jnp.array([0.0, 2.0]), "n": jnp.array(1), "key": jax.random.key(1)}
    newer = {"x": jnp.array([1.0, 6.0]), "n": jnp.array(9), "key": jax.random.key(2)}
    between = blend(older, newer, linear_share(jnp.float32(0.04), jnp.float32(0.02), 0.035))
    np.testing.assert_allclose(between["x"], [0.25, 3.0], rtol=1e-6)
    assert between["n"] == 1
    assert between["key"] == older["key"]
    assert float(linear_share(jnp.float32(0.04), jnp.float32(0.04), 0.01)) == 0


@given(
    gaps=st.lists(st.floats(0.001, 0.05), min_size=1, max_size=6),
    newest=st.floats(0.0, 0.05),
    delay=st.floats(0.0, 0.3),
    window=st.integers(1, 3),
)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_messages_hold_for_all_of_the_period_and_change_little_with_the_delay(gaps, newest, delay, window):
    age = np.float32(newest + np.cumsum([0.0, *gaps[::-1]])[::-1])
    shares = np.asarray(hold_shares(jnp.asarray(age), delay, 0.02))
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(), 1, rtol=1e-5)
    later = np.asarray(hold_shares(jnp.asarray(age), delay + 0.001, 0.02))
    assert np.abs(later - shares).sum() <= 2 * 0.001 / 0.02 * len(age) + 1e-5
    assert shares @ age <= later @ age + 1e-6  # a longer delay holds what is older
    steady = hold(jnp.full(window - 1 + len(age), 3.0), jnp.asarray(shares), window)
    np.testing.assert_allclose(steady, np.full(window, 3.0), rtol=1e-5)
