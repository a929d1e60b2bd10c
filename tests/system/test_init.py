"""How a system begins an episode."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from rexcli.system.init import init_graph_state
from rexcli.system.system import System
from tests.system.test_system import A, B, Drawn, Follower, make


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
