"""Finds the nodes whose states a task uses, by tracing its methods, without computing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, Var

from rexcli.errors import RexError, suggest
from rexcli.system.infer_outputs import trace_steps
from rexcli.system.init import init_graph_state
from rexcli.system.states import GraphState

if TYPE_CHECKING:
    from rexcli.compiler.program import Program
    from rexcli.rl.environment import Environment

PyTree = Any
METHODS = ("reward", "terminated", "measure", "value_after", "privileged", "before_step")
OF_NODES = ("rng", "params", "state")
"""Fields of a `GraphState` that a node's steps change, by node."""


def observed_nodes(task: Environment) -> tuple[str, ...]:
    """Returns the nodes, except the supervisor, of which `task` reads or writes anything that their steps may change.

    Args:
        task: a task that is bound to a system.

    Raises:
        RexError: if it reads `graph_state.outputs`, whose form depends on the executor, or `before_step` returns
            another structure, shape or type than it was given.
    """
    system = task.system
    state = jax.eval_shape(lambda: init_graph_state(system, jax.random.key(0)))
    others = [name for name in system.nodes if name != system.supervisor]
    trace_steps(system, state, others)  # what is wrong with a node comes before what is wrong with a task on it
    paths = [_field(path) for path, _ in jax.tree_util.tree_flatten_with_path(state)[0]]
    touched: set[int] = set()
    for name in METHODS:
        if not _overridden(task, name):
            continue
        try:
            read = _before_step(task, state) if name == "before_step" else _read(task, name, state)
        except KeyError as error:
            asked = str(error.args[0]) if error.args else ""
            if asked in system.nodes:
                raise
            raise RexError(
                f"{type(task).__name__}.{name} asks for '{asked}', which is no node{suggest(asked, list(system.nodes))}"
            ) from error
        for place in sorted(read):
            if paths[place][0] == "outputs":
                raise RexError(
                    f"{type(task).__name__}.{name} looks at graph_state.outputs['{paths[place][1]}'], which is not for "
                    f"tasks; have node '{paths[place][1]}' keep in its state what it sent, and look there"
                )
        touched |= read
    names = {paths[place][1] for place in touched if paths[place][0] in OF_NODES}
    return tuple(name for name in system.nodes if name in names and name != system.supervisor)


def check_observed(task: Environment, program: Program) -> None:
    """Raises an error for a program in which the states that a task uses would be from another time.

    Raises:
        RexError: names the nodes.
    """
    missing = [name for name in task.observed if name not in program.observed]
    if missing:
        names = " and ".join(f"'{name}'" for name in missing)
        raise RexError(
            f"{type(task).__name__} looks at the state of node {names}, but the program was planned without it; "
            "compile it for this task: rex.compile(experiment, system, timeline, task=task), or "
            f"make_plan(timeline, observed={task.observed})"
        )


def _field(path: tuple[Any, ...]) -> tuple[str, str]:
    """Returns the field of a `GraphState` that contains a leaf, and the node that it belongs to ("" for none)."""
    return path[0].name, str(path[1].key) if len(path) > 1 else ""


def _overridden(task: Environment, method: str) -> bool:
    """Returns whether a task overrides a method; those of the base class do not use any state."""
    base = next(cls for cls in type(task).__mro__ if cls.__name__ == "Environment")
    return getattr(type(task), method) is not getattr(base, method)


def _read(task: Environment, method: str, state: GraphState) -> set[int]:
    """Returns the leaves of `state` on which the result of a method depends."""
    more = (0.99,) if method == "value_after" else ()
    return _needed(jax.make_jaxpr(lambda state: getattr(task, method)(state, *more))(state))


def _before_step(task: Environment, state: GraphState) -> set[int]:
    """Returns the leaves of `state` that `before_step` changes, and those on which the changes depend."""
    traced, after = jax.make_jaxpr(task.before_step, return_shape=True)(state)
    want: Any
    got: Any
    want, got = (jax.tree_util.tree_flatten_with_path(tree) for tree in (state, after))
    where = f"{type(task).__name__}.before_step"
    if want[1] != got[1]:
        raise RexError(f"{where} returns {got[1]}, but was given {want[1]}; return the same structure")
    for (path, old), (_, new) in zip(want[0], got[0], strict=True):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise RexError(
                f"{where}: graph_state{jax.tree_util.keystr(path)} becomes {new.dtype}{list(new.shape)}, but it was "
                f"{old.dtype}{list(old.shape)}; return the same type and shape"
            )
    jaxpr = traced.jaxpr
    changed = [out is not given for out, given in zip(jaxpr.outvars, jaxpr.invars, strict=True)]
    return _needed(traced, changed) | {place for place, each in enumerate(changed) if each}


def _needed(traced: ClosedJaxpr, outputs: list[bool] | None = None) -> set[int]:
    """Returns the indices of the inputs on which some outputs, all if None, depend."""
    jaxpr = traced.jaxpr
    wanted = [True] * len(jaxpr.outvars) if outputs is None else outputs
    return {place for place, each in enumerate(_inputs(jaxpr, wanted)) if each}


def _inputs(jaxpr: Jaxpr, wanted: list[bool]) -> list[bool]:
    """Returns which inputs the wanted outputs depend on. Calls are inspected; a loop or a branch depends on all its
    inputs.
    """
    needed: set[Var] = set()

    def need(atoms: list[Any], which: list[bool]) -> None:
        needed.update(atom for atom, each in zip(atoms, which, strict=True) if each and not isinstance(atom, Literal))

    need(list(jaxpr.outvars), wanted)
    for equation in reversed(jaxpr.eqns):
        of = [var in needed for var in equation.outvars]
        if not any(of):
            continue
        inner = equation.params.get("jaxpr")
        whole = [True] * len(equation.invars)
        is_call = equation.primitive.name in ("jit", "pjit", "closed_call", "remat", "checkpoint")
        if is_call and isinstance(inner, ClosedJaxpr):
            whole = _inputs(inner.jaxpr, of)
        need(list(equation.invars), whole)
    return [var in needed for var in jaxpr.invars]
