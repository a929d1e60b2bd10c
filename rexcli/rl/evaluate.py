"""Evaluates a controller on new episodes, each from its own random start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from rexcli.compiler import backend
from rexcli.compiler.program import Controller, Program
from rexcli.errors import RexError
from rexcli.rl.environment import AsItIs, Environment
from rexcli.rl.observed_nodes import check_observed
from rexcli.rl.policy import Actor
from rexcli.rl.traced_once import traced_once, zeros_of_result
from rexcli.system.init import with_memory
from rexcli.system.states import GraphState

_ONE: Any = None
_EACH: Any = 0
SHARED = GraphState(
    eps=_ONE,
    step=_ONE,
    origin=_EACH,
    rng=_EACH,
    params=_EACH,
    delays=_EACH,
    state=_EACH,
    outputs=_EACH,
    memory=_EACH,
)
"""Axes of `vmap`: episodes on one episode of the timeline share (None) what runs when, so that a skipped slot costs
nothing.
"""
TAKEN = ("episode", "episodes", "return", "length")
"""Names that a metric cannot have."""
GROUP = 32
"""The least number of episodes that share one episode of the timeline: fewer would not be worth a pass."""


class Evaluation(struct.PyTreeNode):
    """The results of each episode.

    Attributes:
        returns: sum of rewards, float32 `[episodes]`.
        lengths: supervisor steps until it terminated or was truncated, int32 `[episodes]`.
        summary: the task's metrics, by name, float32 `[episodes]`.
    """

    returns: jax.Array
    lengths: jax.Array
    summary: dict[str, jax.Array]


def evaluate(
    program: Program,
    environment: Environment,
    controller: Controller,
    rng: jax.Array,
    *,
    episodes: int,
    seconds: float,
) -> Evaluation:
    """Runs episodes and computes the metrics of each. Pure: jit it with `episodes` and `seconds` static.

    Args:
        program: the program to run; episodes are spread over those of its timeline that are long enough.
        environment: the task.
        controller: the supervisor's step, such as `policy.controller(environment)`.
        rng: PRNG key; draws every start.
        episodes: the number of episodes.
        seconds: the length of each episode. A task's own time limit does not count here.

    Raises:
        RexError: if every episode of the timeline is shorter than that, or the program was compiled for another task.
    """
    check_observed(environment, program)
    steps = evaluation_steps(program, environment, seconds)
    groups = min(program.num_episodes, timelines_of(episodes))
    eps_rng, start_rng = jax.random.split(rng)
    enough = program.length >= steps
    which, number = jnp.argsort(~enough, stable=True), jnp.maximum(enough.sum(), 1)
    eps = which[(jax.random.randint(eps_rng, (), 0, number) + jnp.arange(groups)) % number]
    keys = jax.random.split(start_rng, groups * -(-episodes // groups)).reshape(groups, -1)

    def group(start: tuple[jax.Array, jax.Array]) -> Evaluation:
        eps, keys = start
        return _episodes(program, environment, controller, keys, eps, steps)

    evaluation = jax.lax.map(group, (eps, keys))
    return jax.tree.map(lambda leaf: leaf.reshape(-1)[:episodes], evaluation)


def evaluation_steps(program: Program, environment: Environment, seconds: float) -> int:
    """Returns the number of supervisor steps of an evaluation's episodes.

    Raises:
        RexError: if no episode of the timeline is that long.
    """
    steps, longest = environment.steps_in(seconds), program.max_steps
    if steps > longest:
        raise RexError(
            f"eval.seconds={seconds:g} takes {steps} supervisor steps, but the timeline has {longest}; simulate or "
            f"record {steps} or more, or set eval.seconds={longest / environment.supervisor.rate:g}"
        )
    return steps


def timelines_of(episodes: int) -> int:
    """Returns the number of timeline episodes over which `evaluate` spreads the episodes of a task, if there are so
    many.
    """
    return max(1, episodes // GROUP)


def evaluate_policy(
    program: Program, environment: Environment, policy: Actor, rng: jax.Array, *, episodes: int, seconds: float
) -> Evaluation:
    """Evaluates a policy without noise by `evaluate`, jitted.

    It is compiled once for a task, a layout of the program and a network, and again only if an attribute of the task
    has changed.
    """
    return _compiled_evaluation()(program, policy, rng, AsItIs(environment), episodes=episodes, seconds=seconds)


@cache
def _compiled_evaluation() -> Callable[..., Evaluation]:
    def of_task(
        program: Program, policy: Actor, rng: jax.Array, task: AsItIs, *, episodes: int, seconds: float
    ) -> Evaluation:
        act = policy.controller(task.task)
        return evaluate(program, task.task, act, rng, episodes=episodes, seconds=seconds)

    static = "task", "episodes", "seconds"
    return jax.jit(of_task, static_argnames=static, compiler_options=backend.compiler_options())


class _Running(struct.PyTreeNode):
    """Running episodes: `alive` where one has not ended; `measures` of the last step that counts."""

    state: GraphState
    alive: jax.Array
    earned: jax.Array
    length: jax.Array
    measures: dict[str, jax.Array]


def _episodes(
    program: Program, task: Environment, controller: Controller, keys: jax.Array, eps: jax.Array, steps: int
) -> Evaluation:
    """Runs one episode per key, all on the same episode of the timeline."""
    number, shared = len(keys), SHARED

    def reset(key: jax.Array) -> GraphState:
        return program.reset(with_memory(program.init(key, eps=eps), controller))[0]

    def step_one(state: GraphState) -> tuple[GraphState, jax.Array, jax.Array, dict[str, jax.Array]]:
        state = task.before_step(state)
        step_state, output = controller(program.step_state(state))
        state, _ = program.step(state, step_state, output)
        ended = jnp.asarray(task.terminated(state), bool) | program.is_over(state)
        measures = {name: jnp.asarray(value) for name, value in task.measure(state).items()}
        return state, jnp.asarray(task.reward(state), jnp.float32), ended, measures

    step_all = traced_once(jax.vmap(step_one, in_axes=(shared,), out_axes=(shared, 0, 0, 0)))

    def step(run: _Running, _: None) -> tuple[_Running, dict[str, jax.Array]]:
        state, reward, ended, now = step_all(run.state)
        measures = {name: jnp.where(run.alive, now[name], last) for name, last in run.measures.items()}
        earned = run.earned + jnp.where(run.alive, reward, 0.0)
        return _Running(state, run.alive & ~ended, earned, run.length + run.alive, measures), measures

    state = jax.vmap(reset, out_axes=shared)(keys)
    nothing = zeros_of_result(step_all, state)[3]
    run = _Running(state, jnp.ones(number, bool), jnp.zeros(number), jnp.zeros(number, jnp.int32), nothing)
    run, measures = jax.lax.scan(step, run, None, length=steps)
    summary = jax.vmap(partial(_summary, task), in_axes=1, axis_size=number)(measures)
    return Evaluation(run.earned, run.length, summary)


def _summary(task: Environment, measures: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    """Returns the task's metrics of one episode, from its measures, `[steps]`."""
    found = {}
    for name, metric in task.metrics.items():
        try:
            value = jnp.asarray(metric(measures, task.supervisor.rate), jnp.float32)
        except RexError as error:
            raise RexError(f"eval.metrics.{name}: {error}") from error
        if name in TAKEN or value.ndim:
            fix = f"'{name}' is taken; choose another name" if name in TAKEN else "it gives an array; give a number"
            raise RexError(f"eval.metrics.{name}: {fix}")
        found[name] = value
    return found


def check_metrics(program: Program, task: Environment, seconds: float) -> None:
    """Evaluates the task's metrics on the shapes of its measures, without computing anything.

    Raises:
        RexError: if a metric cannot be computed for an episode of `seconds`; names its key.
    """
    steps = task.steps_in(seconds)

    def summed_up(key: jax.Array) -> dict[str, jax.Array]:
        measures = task.measure(program.init(key))
        return _summary(task, {name: jnp.broadcast_to(value, (steps,)) for name, value in measures.items()})

    jax.eval_shape(summed_up, jax.random.key(0))
