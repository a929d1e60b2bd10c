"""What nodes send, found without running them: for node code that leaves `init_output` out.

`step` is traced abstractly, with inputs shaped like what their sources send: sources first, so that most need only
write `step`. It happens once for each system and structure of parameters and states, and costs no computation.
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
"""What JAX raises for code that is no pure JAX."""


def as_output(output: Any) -> Any:
    """What a node sends: None stands for nothing, `()`."""
    return () if output is None else output


def is_nothing(output: PyTree) -> bool:
    """Whether it is the output of a node that sends nothing."""
    return isinstance(output, tuple) and not output


def example_step_state(system: System, graph_state: GraphState, name: str) -> StepState:
    """A step state of node `name` before any message, from what a fresh `graph_state` holds."""
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
    """Traces the steps of some nodes: what one raises, it raises here.

    Args:
        system: whose nodes.
        graph_state: of it, or its shapes.
        names: of the nodes.
        controller: steps the supervisor; its own code if None.

    Returns:
        Those whose step cannot be jitted.
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
    """Zeros in place of the `init_output` that nodes leave out, by node.

    Args:
        system: whose nodes.
        graph_state: with parameters and states of all, and the outputs of those that have an `init_output`.

    Raises:
        RexError: where it cannot be told what a node sends.
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
    """Shapes of what the nodes in `missing` send, by node; `()` for those in `silent` and what cannot be traced."""
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
    """Nodes each of which waits for the one before it, and the first for the last; it is the first one declared."""
    walk = [next(iter(waits))]
    while (source := waits[walk[-1]][0]) not in walk:
        walk.append(source)
    loop = walk[walk.index(source) :][::-1]
    first = loop.index(min(loop, key=list(waits).index))
    return loop[first:] + loop[:first]


def _check_silent(loop: list[str], trace: Callable[[str], PyTree]) -> None:
    """Refuses a loop of nodes that leave `init_output` out, unless none of them sends anything."""
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
