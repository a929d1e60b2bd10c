"""The state of a system at the start of an episode, the same for every executor."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from rexcli.graph.states import GraphState
from rexcli.graph.system import System


def init_graph_state(
    system: System, rng: jax.Array, params: Mapping[str, Any] | None = None, eps: Any = 0, step: Any = 0
) -> GraphState:
    """Initialises every node: first all parameters, then all states, then all outputs, each in `init_order`.

    A node's random numbers depend on `rng` and its name alone. Pure: jittable, vmappable over `rng`.

    Args:
        system: whose nodes.
        rng: PRNG key.
        params: parameters by node, in place of what `init_params` would give.
        eps, step: where on the timeline the episode starts.

    Returns:
        A state whose `outputs` holds each node's `init_output`.
    """
    keys = {name: jax.random.split(node_key(rng, name), 4) for name in system.nodes}
    graph_state = GraphState(
        eps=jnp.asarray(eps, jnp.int32),
        step=jnp.asarray(step, jnp.int32),
        origin=jnp.asarray(step, jnp.int32),
        rng={name: keys[name][0] for name in system.nodes},
        params=dict(params or {}),
        state={},
        outputs={},
    )
    for name in system.init_order:
        if name not in graph_state.params:
            value = _arrays(system.nodes[name].init_params(keys[name][1], graph_state))
            graph_state = graph_state.replace(params={**graph_state.params, name: value})
    for name in system.init_order:
        value = _arrays(system.nodes[name].init_state(keys[name][2], graph_state))
        graph_state = graph_state.replace(state={**graph_state.state, name: value})
    for name in system.init_order:
        value = _arrays(as_output(system.nodes[name].init_output(keys[name][3], graph_state)))
        graph_state = graph_state.replace(outputs={**graph_state.outputs, name: value})
    return graph_state


def as_output(output: Any) -> Any:
    """What a node sends: None stands for nothing, `()`."""
    return () if output is None else output


def node_key(rng: jax.Array, name: str) -> jax.Array:
    """The key of one node: adding a node elsewhere does not change it."""
    return jax.random.fold_in(rng, zlib.crc32(name.encode()))


def _arrays(tree: Any) -> Any:
    """Every leaf as a JAX array, so that what goes into a step has the type of what comes out."""
    return jax.tree.map(jnp.asarray, tree)
