"""Initialises the state of a system at the start of an episode, the same for every executor."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from rexcli.errors import RexError, suggest
from rexcli.system.infer_outputs import as_output, missing_outputs
from rexcli.system.node import defines
from rexcli.system.parameters import flat, with_values
from rexcli.system.paths import leaf_paths
from rexcli.system.randomize import drawn_delay, drawn_of_posterior, drawn_params
from rexcli.system.states import GraphState
from rexcli.system.system import System
from rexcli.system.types import as_declared

Delays = Mapping[str, Mapping[str, Any]]
"""Delays in seconds, by node and input."""

DELAYS = 0xDE1A
"""Folded into the PRNG key of `init_delays`, so that it differs from that of `init_params`."""


class Declared(struct.PyTreeNode):
    """Declared numbers that steps only depend on through the state, so that systems that differ only in them share
    compiled code.

    Attributes:
        params: numbers by node and path, instead of those from `init_params`.
        delays: delays of adjustable edges, seconds by reader and input.
    """

    params: Mapping[str, Mapping[str, Any]]
    delays: Delays

    @classmethod
    def of(cls, system: System) -> Declared:
        """Returns the declared numbers of a system, as arrays.

        Raises:
            RexError: if a parameter does not exist, or has another type or shape.
        """
        params = {name: flat(spec.params) for name, spec in system.specs.items() if spec.params}
        if params:  # with the type that each has in the node: types other than int32 and float32 would be rounded
            state = jax.eval_shape(partial(init_graph_state, system), jax.random.key(0))
            types = {name: leaf_paths(state.params[name]) for name in params}
            params = {
                name: {path: np.asarray(value).astype(types[name][path].dtype) for path, value in each.items()}
                for name, each in params.items()
            }
        delays = {name: {key: delay.value for key, delay in system.adjustable(name).items()} for name in system.nodes}
        with jax.ensure_compile_time_eval():  # arrays, even if this is called while another function is traced
            arrays = jax.tree.map(jnp.asarray, (params, {name: each for name, each in delays.items() if each}))
        return cls(*arrays)


def init_graph_state(
    system: System,
    rng: jax.Array,
    params: Mapping[str, Any] | None = None,
    eps: Any = 0,
    step: Any = 0,
    delays: Delays | None = None,
    states: Mapping[str, Any] | None = None,
    declared: Declared | None = None,
) -> GraphState:
    """Initialises every node: first all parameters, then delays, states and outputs, each in `init_order`.

    The random numbers of a node only depend on `rng` and its name. The function is pure: jittable, vmappable over
    `rng`.

    Args:
        system: the system of the nodes.
        rng: PRNG key.
        params: parameters by node, instead of those from `init_params`, the node's declared `params` and randomisation.
        eps, step: the episode of the timeline, and the step at which to start.
        delays: seconds by node and input, instead of those from `init_delays` and randomisation.
        states: states by node, instead of those from `init_state`.
        declared: replaces the numbers that the system declares.

    Returns:
        A state whose `outputs` holds each node's `init_output`, or zeros where its code has none.

    Raises:
        RexError: for parameters and states of unknown nodes, for delays that are not adjustable, and if the output of a
            node cannot be inferred.
    """
    for what, given in (("params", params), ("delays", delays), ("states", states)):
        for name in given or {}:
            if name not in system.nodes:
                raise RexError(f"{what}: no node is called '{name}'{suggest(name, list(system.nodes))}")
    keys = _node_keys(rng, tuple(system.nodes))
    graph_state = GraphState(
        eps=jnp.asarray(eps, jnp.int32),
        step=jnp.asarray(step, jnp.int32),
        origin=jnp.asarray(step, jnp.int32),
        rng={name: keys[name][0] for name in system.nodes},
        params={name: as_declared(value) for name, value in (params or {}).items()},
        delays={},
        state={name: as_declared(value) for name, value in (states or {}).items()},
        outputs={},
    )
    for name in system.init_order:
        if name not in graph_state.params:
            value = as_declared(system.nodes[name].init_params(keys[name][1], graph_state))
            own = system.specs[name].params if declared is None else declared.params.get(name, {})
            value = with_values(value, own, f"nodes.{name}.params")
            posterior = drawn_of_posterior(rng, system.posterior, f"nodes/{name}")
            value = with_values(value, posterior, f"randomize.posterior: nodes.{name}.params")
            value = drawn_params(name, keys[name][1], value, system.randomize.nodes.get(name, {}))
            graph_state = graph_state.replace(params={**graph_state.params, name: value})
    for name in system.init_order:
        given = (delays or {}).get(name, {})
        if chosen := _delays(system, name, rng, keys[name], graph_state, given, declared):
            graph_state = graph_state.replace(delays={**graph_state.delays, name: chosen})
    for name in system.init_order:
        if name not in graph_state.state:
            value = as_declared(system.nodes[name].init_state(keys[name][2], graph_state))
            graph_state = graph_state.replace(state={**graph_state.state, name: value})
    for name in system.init_order:
        if defines(system.nodes[name], "init_output"):
            value = as_declared(as_output(system.nodes[name].init_output(keys[name][3], graph_state)))
            graph_state = graph_state.replace(outputs={**graph_state.outputs, name: value})
    outputs = {**graph_state.outputs, **missing_outputs(system, graph_state)}
    return graph_state.replace(outputs={name: outputs[name] for name in system.init_order})


def with_memory(graph_state: GraphState, controller: Any) -> GraphState:
    """Returns the state with the initial memory of a controller, `controller.initial_memory()`, if it has one; memory
    that exists already is kept."""
    initial = getattr(controller, "initial_memory", None)
    if initial is None:
        return graph_state
    return graph_state.replace(memory={**initial(), **graph_state.memory})


def _delays(
    system: System,
    name: str,
    rng: jax.Array,
    keys: list[jax.Array],
    graph_state: GraphState,
    given: Mapping[str, Any],
    declared: Declared | None,
) -> dict[str, jax.Array]:
    """Returns the adjustable delays of the inputs of node `name`, by input."""
    node, adjustable = system.nodes[name], system.adjustable(name)
    own: Mapping[str, Any] = {}
    if defines(node, "init_delays"):
        own = node.init_delays(jax.random.fold_in(keys[1], DELAYS), graph_state) or {}
    for where, values in ((f"node '{name}': init_delays", own), (f"delays: node '{name}'", given)):
        for chosen, value in values.items():
            _check_delay(system, name, chosen, value, where)
    chosen_values = {chosen: delay.value for chosen, delay in adjustable.items()}
    values = {**chosen_values, **({} if declared is None else declared.delays.get(name, {})), **own}
    posterior = drawn_of_posterior(rng, system.posterior, "edges")
    for edge in system.inputs(name):
        if edge.input in adjustable and edge.name in system.randomize.edges:
            entry, declared = system.randomize.edges[edge.name], values[edge.input]
            values[edge.input] = drawn_delay(edge.name, keys[1], adjustable[edge.input], declared, entry)
        elif edge.name in posterior:
            delay = adjustable[edge.input]
            values[edge.input] = jnp.clip(posterior[edge.name], delay.low, delay.high)
    values |= given
    return {chosen: jnp.asarray(value, jnp.float32) for chosen, value in values.items()}


def _check_delay(system: System, name: str, chosen: str, value: Any, where: str) -> None:
    edges = {edge.input: edge.name for edge in system.inputs(name)}
    if chosen not in edges:
        raise RexError(f"{where}: no input is called '{chosen}'{suggest(chosen, list(edges))}")
    if chosen not in system.adjustable(name):
        raise RexError(
            f"{where}: input '{chosen}': the delay of edge '{edges[chosen]}' is not adjustable; declare it as "
            "{_target_: rexcli.AdjustableDelay, low: …, high: …}"
        )
    if jnp.ndim(value) != 0:
        raise RexError(f"{where}: input '{chosen}': an array of shape {jnp.shape(value)}: give one number of seconds")


@partial(jax.jit, static_argnums=1)
def _node_keys(rng: jax.Array, names: tuple[str, ...]) -> dict[str, list[jax.Array]]:
    """Returns four keys of each node, which do not change if another node is added. They are made in one call, because
    those of one node take a program of hundreds of operations."""
    numbers = np.array([zlib.crc32(name.encode()) for name in names], np.uint32)
    keys = jax.vmap(lambda number: jax.random.split(jax.random.fold_in(rng, number), 4))(numbers)
    return {name: [keys[place, part] for part in range(4)] for place, name in enumerate(names)}
