"""Systems: what is refused, and what node code gets."""

from __future__ import annotations

import re
from dataclasses import replace

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.system.delays import Constant, Random
from rexcli.system.node import Node
from rexcli.system.ranges import Range, Ranges
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System


class Plain:
    """A node that does not derive from `Node`."""

    def step(self, step_state):
        return step_state, ()


class Drawn(Node):
    """A node whose initial state is a random number."""

    def default_delay(self) -> float:
        return 0.5 / self.rate

    def init_state(self, rng, graph_state):
        return jax.random.normal(rng)

    def step(self, step_state):
        return step_state, ()


class Follower(Node):
    """A node that starts where `a` does."""

    def init_state(self, rng, graph_state):
        return graph_state.state["a"] + 1

    def step(self, step_state):
        return step_state, ()


A, B = NodeSpec("a", 10.0), NodeSpec("b", 20.0)
AB = Edge("ab", "a", "b", "a")


def make(nodes=None, edges=(AB,), supervisor="b", init_order=()):
    return System(nodes or [(A, Drawn()), (B, Plain())], list(edges), supervisor, init_order)


def test_two_edges_between_two_nodes_have_two_inputs():
    system = make(edges=[AB, replace(AB, name="again", input_name="again")])
    assert [edge.input for edge in system.inputs("b")] == ["a", "again"]
    assert [edge.name for edge in system.outputs("a")] == ["ab", "again"]


def test_a_class_says_its_default_delay_and_the_declaration_goes_first():
    assert make().specs["a"].delay.quantile(0.99) == 0.05
    assert (
        make([(replace(A, delay=Constant(0.02)), Drawn()), (B, Plain())]).timing.node("a").expected_delay == 20_000_000
    )
    timing = make([(replace(A, expected_delay=0.03), Drawn()), (B, Plain())]).timing
    assert timing.node("a").expected_delay == 30_000_000


def test_delays_depend_on_seed_name_and_episode_alone():
    noisy = Random(distrax.Normal(0.01, 0.001))
    small = System([(replace(A, delay=noisy), Drawn())], [], "a")
    large = make([(replace(A, delay=noisy), Drawn()), (replace(B, delay=noisy), Plain())], [replace(AB, delay=noisy)])
    draws = large.sample_delays("node", "a", 0, 3, 300)
    np.testing.assert_array_equal(small.sample_delays("node", "a", 0, 3, 300), draws)
    np.testing.assert_array_equal(large.sample_delays("node", "a", 0, 1, 50, first_episode=2), draws[2:, :50])
    for other in (("node", "b", 0), ("edge", "ab", 0), ("node", "a", 1)):
        assert (large.sample_delays(*other, 3, 300) != draws).any()
    assert draws.dtype == np.int64


class Heavy(Node):
    """A node with parameters of which some have to be more than 0."""

    def positive_params(self):
        return ["mass", "body.mass"]

    def init_params(self, rng, graph_state):
        return {"mass": jnp.float32(1.0), "body": {"mass": jnp.ones(2)}, "shift": jnp.float32(0.0)}

    def step(self, step_state):
        return step_state, ()


@pytest.mark.parametrize(
    ("params", "drawn", "wrong"),
    [
        ({"mass": -0.4}, {}, "nodes.a.params.mass=-0.4"),
        ({"mass": 0}, {}, "nodes.a.params.mass=0"),
        ({"body": {"mass": [1.0, 0.0]}}, {}, "nodes.a.params.body.mass=[1.0, 0.0]"),
        ({"shift": -1.0, "mass": 0.1}, {}, None),
        ({}, {"mass": Range(low=-0.1, high=1.0)}, "randomize.nodes.a.mass.low=-0.1"),
        ({}, {"mass": Range(low=0.0, high=1.0, operation="scale")}, "randomize.nodes.a.mass.low=0"),
        ({}, {"heavy": Range(mean=-1.0, std=0.1, path="body.mass")}, "randomize.nodes.a.heavy.mean=-1"),
        ({}, {"mass": Range(low=-0.1, high=0.1, operation="add"), "shift": Range(low=-1.0, high=1.0)}, None),
        ({}, {"mass": Range(mean=1.0, std=0.1)}, None),
    ],
)
def test_parameters_that_have_to_be_positive_are_checked(params, drawn, wrong):
    nodes = [(replace(A, params=params), Heavy()), (B, Plain())]
    ranges = Ranges(nodes={"a": drawn})
    if wrong is None:
        System(nodes, [AB], "b", randomize=ranges)
        return
    with pytest.raises(RexError, match=f"{re.escape(wrong)}.*more than 0"):
        System(nodes, [AB], "b", randomize=ranges)
