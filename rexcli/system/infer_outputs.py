"""Infers what nodes send without running them, for node code without `init_output`.

`step` is traced abstractly, with inputs that have the shapes of their sources' outputs, sources first, so that most
nodes need only a `step`. This is done once for each system and structure of parameters and states, without computing
anything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from rexcli.errors import RexError
from rexcli.system.node import defines
from rexcli.system.states import GraphState, Inputs, InputState, StepState
from rexcli.system.system import System

PyTree = Any

NOT_TRACEABLE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)
"""The errors that JAX raises for code that is not pure JAX."""


def as_output(output: Any) -> Any:
    """Returns the output of a node, with `()` instead of None."""
    return () if output is None else output


def is_nothing(output: PyTree) -> bool:
    """Returns whether this is the output of a node that sends nothing."""
    return isinstance(output, tuple) and not output


def example_step_state(system: System, graph_state: GraphState, name: str) -> StepState:
    """Returns a step state of node `name` before any message, from the values in a new `graph_state`."""
    inputs: dict[str, InputState] = {}
    for edge in system.inputs(name):
        data = jax.tree.map(
            lambda leaf, n=edge.window: jnp.broadcast_to(leaf, (n, *jnp.shape(leaf))), graph_state.outputs[edge.source]
        )
        none, zeros = jnp.full(edge.window, -1, jnp.int32), jnp.zeros(edge.window)
        inputs[edge.input] = InputState(seq=none, ts_sent=zeros, ts_recv=zeros, age=zeros, data=data)
    return StepState(
        rng=graph_state.rng[name],
        params=graph_state.params[name],
        state=graph_state.state[name],
        inputs=Inputs(name, inputs),
        eps=graph_state.eps,
        seq=graph_state.step,
        ts=jnp.zeros(()),
        dt=jnp.ones(()) / system.specs[name].rate,
        stamp_offset=jnp.zeros(()),
        memory=graph_state.memory if name == system.supervisor else {},
    )


def trace_steps(
    system: System, graph_state: GraphState, names: Collection[str], controller: Callable[..., Any] | None = None
) -> list[str]:
    """Traces the steps of some nodes; errors that a step raises are raised here.

    Args:
        system: the system of the nodes.
        graph_state: a graph state of the system, or its shapes.
        names: the names of the nodes.
        controller: steps the supervisor; its own code if None.

    Returns:
        The nodes whose step cannot be jitted.
    """
    plain = []
    for name in names:
        step = controller if controller is not None and name == system.supervisor else system.nodes[name].step
        example = jax.eval_shape(lambda state, name=name: example_step_state(system, state, name), graph_state)
        try:
            jax.eval_shape(step, example)
        except NOT_TRACEABLE:
            plain.append(name)
    return plain


def missing_outputs(system: System, graph_state: GraphState) -> dict[str, PyTree]:
    """Returns zeros for the `init_output` of each node that has none, by node.

    Args:
        system: the system of the nodes.
        graph_state: a state with the parameters and states of all nodes, and the outputs of those that have an
            `init_output`.

    Raises:
        RexError: if the output of a node cannot be inferred.
    """
    missing = [name for name in system.nodes if name not in graph_state.outputs]
    silent = [name for name in missing if not system.nodes[name].jit or not defines(system.nodes[name], "step")]
    if missing == silent:
        return dict.fromkeys(silent, ())
    seen = jax.eval_shape(lambda: graph_state)
    leaves, structure = jax.tree.flatten(seen)
    key = (structure, tuple((leaf.shape, str(leaf.dtype)) for leaf in leaves), tuple(silent))
    if key not in system.output_structures:
        system.output_structures[key] = _find(system, seen, missing, silent)
    zeros = system.output_structures[key]
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), zeros)


def _find(system: System, seen: GraphState, missing: list[str], silent: list[str]) -> dict[str, PyTree]:
    """Returns shapes of what the nodes in `missing` send, by node; `()` for `silent` and untraceable ones."""
    unknown = list(silent)
    found: dict[str, PyTree] = dict.fromkeys(silent, ())

    def trace(name: str, known: Mapping[str, PyTree]) -> PyTree:
        def send(state: GraphState) -> PyTree:
            _, output = system.nodes[name].step(example_step_state(system, state, name))
            return jax.tree.map(jnp.asarray, as_output(output))

        return jax.eval_shape(send, seen.replace(outputs={**seen.outputs, **known}))

    while left := [name for name in missing if name not in found]:
        waits = {name: [edge.source for edge in system.inputs(name) if edge.source in left] for name in left}
        ready = [name for name in left if not waits[name]]
        for name in ready:
            try:
                found[name] = trace(name, found)
            except NOT_TRACEABLE:
                found[name] = ()
                unknown.append(name)
            except Exception as error:
                raise _untold(system, name, unknown, error) from error
        if not ready:
            loop = _loop(waits)
            _check_silent(loop, partial(trace, known=dict.fromkeys(left, ()) | found))
            found |= dict.fromkeys(loop, ())
    return found


def _loop(waits: Mapping[str, list[str]]) -> list[str]:
    """Returns a loop of nodes in which each waits for the previous one; it begins with the one declared first."""
    walk = [next(iter(waits))]
    while (source := waits[walk[-1]][0]) not in walk:
        walk.append(source)
    loop = walk[walk.index(source) :][::-1]
    first = loop.index(min(loop, key=list(waits).index))
    return loop[first:] + loop[:first]


def _check_silent(loop: list[str], trace: Callable[[str], PyTree]) -> None:
    """Raises an error for a loop of nodes without `init_output`, unless none of them sends anything."""
    cause = None
    try:
        if all(is_nothing(trace(name)) for name in loop):
            return
    except Exception as error:
        cause = error
    if len(loop) == 1:
        which = f"node '{loop[0]}' reads itself and has no init_output, so what it sends is not known"
    else:
        names = " -> ".join([*loop, loop[0]])
        which = f"nodes {names}: they read each other and none has init_output, so what they send is not known"
    raise RexError(f"{which}; write init_output(rng, graph_state) in one of them") from cause


def _untold(system: System, name: str, unknown: list[str], error: Exception) -> RexError:
    blind = [edge.source for edge in system.inputs(name) if edge.source in unknown]
    code = type(system.nodes[name]).__name__
    text = " ".join(str(error).split())
    message = f"node '{name}': tracing {code}.step, to find what it sends, raised {type(error).__name__}: {text}"
    if blind:
        names = " and ".join(f"'{source}'" for source in dict.fromkeys(blind))
        return RexError(
            f"{message}; it reads {names}, whose output is not known: write init_output(rng, graph_state) there"
        )
    return RexError(f"{message}; mend the step, or write {code}.init_output(rng, graph_state)")
