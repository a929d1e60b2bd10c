"""Makes the controller of the supervisor: its own code, a policy, or a simple source of actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from rexcli.errors import RexError
from rexcli.rl.environment import Environment
from rexcli.rl.policy import Actor
from rexcli.system.init import init_graph_state
from rexcli.system.states import StepState
from rexcli.system.system import System

PyTree = Any
Controller = Callable[[StepState], tuple[StepState, PyTree]]
Source = Literal["node", "constant", "zero", "random", "policy"]


def make_controller(
    source: Source,
    system: System,
    environment: Environment | None = None,
    *,
    value: float | list[float] = 0.0,
    policy: Actor | None = None,
) -> Controller | None:
    """Returns the supervisor's step, `step_state -> (step_state, output)`, for any executor; None for its own code.

    With an environment, actions are the task's own and go through its `act`. Without one, `constant` and `zero` fill
    every number of the supervisor's output.

    Args:
        source: `node`, `constant`, `zero`, `random` (uniform over the action space) or `policy`.
        system: the system of the supervisor.
        environment: the task, bound to the system; `random` and `policy` need it.
        value: the action if `source` is `constant`; a single number is used for every dimension.
        policy: the policy if `source` is `policy`.

    Raises:
        RexError: if the source lacks what it needs, or the value is not an action.
    """
    if source == "node":
        return None
    if source == "policy":
        if policy is None or environment is None:
            raise RexError("action.source=policy: give policy=RUN, a run of `rex train`, and an experiment with env")
        return policy.controller(environment)
    if environment is None:
        if source == "random":
            raise RexError("action.source=random: the experiment has no env to say what an action is; declare one")
        if not isinstance(value, int | float):
            raise RexError(f"action.value={value}: without env, give one number for all of the supervisor's output")
        return _filled(system, 0.0 if source == "zero" else float(value))
    task = environment
    space = task.action_space
    if source == "random":
        if not space.bounded:
            raise RexError("action.source=random: the action space has no bounds; give another source")
        return lambda state: task.act(state, space.sample(jax.random.fold_in(state.rng, state.seq)))
    values = jnp.asarray(0.0 if source == "zero" else value, jnp.float32)
    if values.ndim and values.shape != (space.size,):
        raise RexError(f"action.value={value}: an action has {space.size} numbers; give one, or {space.size}")
    numbers = jnp.broadcast_to(values, (space.size,))
    if space.categories:
        if not all(number in range(count) for number, count in zip(numbers.tolist(), space.categories, strict=True)):
            most = [count - 1 for count in space.categories]
            raise RexError(f"action.value={value}: an action is {space}; give whole numbers from 0 to {most}")
        numbers = space.from_unit(numbers.astype(jnp.int32))
    return lambda state: task.act(state, numbers)


def _filled(system: System, value: float) -> Controller:
    outputs = jax.eval_shape(lambda: init_graph_state(system, jax.random.key(0))).outputs
    template = outputs[system.supervisor]

    def control(step_state: StepState) -> tuple[StepState, PyTree]:
        return step_state, jax.tree.map(lambda leaf: jnp.full(leaf.shape, value, leaf.dtype), template)

    return control
