"""Systems: what is refused, and what node code gets."""

from __future__ import annotations

from dataclasses import replace

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.system.delays import Constant, Random
from rexcli.system.init import init_graph_state
from rexcli.system.node import Node
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nodes": [(replace(A, rate=0.0), Drawn()), (B, Plain())]}, "nodes.a.rate=0"),
        ({"nodes": [(replace(A, rate=float("nan")), Drawn()), (B, Plain())]}, "nodes.a.rate=nan"),
        ({"nodes": [(A, Drawn()), (A, Plain())]}, "nodes.a is declared 2 times"),
        ({"nodes": [(replace(A, scheduling="fast"), Drawn()), (B, Plain())]}, "nodes.a.scheduling=fast"),
        ({"nodes": [(replace(A, expected_delay=-1.0), Drawn()), (B, Plain())]}, "nodes.a.expected_delay=-1"),
        ({"nodes": [(A, object()), (B, Plain())]}, "no step"),
        ({"edges": [replace(AB, target="c")]}, "edges.ab.to=c: no node is called 'c'"),
        ({"edges": [replace(AB, window=0)]}, "edges.ab.window=0"),
        ({"edges": [replace(AB, jitter="some")]}, "edges.ab.jitter=some"),
        ({"edges": [AB, replace(AB, name="other")]}, "edges.other.name=a: node 'b' has this input already, edges.ab"),
        ({"supervisor": "c"}, "supervisor=c: no node is called 'c'"),
        ({"init_order": ("bb",)}, "did you mean 'b'"),
    ],
)
def test_what_is_no_system_is_refused(change, message):
    with pytest.raises(RexError, match=message):
        make(**change)


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


def test_a_class_need_not_derive_from_node():
    node = make().nodes["b"]
    assert isinstance(node, Node)
    assert isinstance(node, Plain)
    assert (node.name, node.rate, node.init_state(jax.random.key(0), None)) == ("b", 20.0, ())


def test_initialisation_follows_the_order():
    system = make([(B, Follower()), (A, Drawn())], supervisor="b", init_order=("a",))
    state = init_graph_state(system, jax.random.key(1)).state
    assert state["b"] == state["a"] + 1


def test_a_node_elsewhere_changes_nothing():
    alone = System([(A, Drawn())], [], "a")
    a_alone, a_beside = (init_graph_state(s, jax.random.key(1)).state["a"] for s in (alone, make()))
    assert a_alone == a_beside


def test_parameters_from_outside_take_the_place_of_the_nodes_own():
    state = init_graph_state(make(), jax.random.key(1), {"a": jnp.array(3.0)})
    assert state.params["a"] == 3
    assert state.params["b"] == ()


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
