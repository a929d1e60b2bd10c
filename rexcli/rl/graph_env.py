"""Defines one environment with `reset` and `step`, for custom training loops."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from rexcli.compiler.program import Program
from rexcli.rl.environment import Environment
from rexcli.rl.observed_nodes import check_observed
from rexcli.system.states import GraphState


class EnvState(struct.PyTreeNode):
    """The state of a running episode.

    Attributes:
        graph_state: the system.
        steps: int32, supervisor steps since the episode began.
    """

    graph_state: GraphState
    steps: jax.Array


class Outcome(struct.PyTreeNode):
    """The result of a step.

    Attributes:
        observation: the result of `Environment.observation`.
        reward: float32.
        terminated: bool, whether the task is over, so that no more rewards follow.
        truncated: bool, whether the time is over, though more rewards could have followed.
    """

    observation: Any
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array


class GraphEnv:
    """A task on a compiled program, one episode at a time. All methods are pure: they can be jitted and vmapped.

    Args:
        environment: the task, bound to the program's system.
        program: the program, compiled for the task.

    Raises:
        RexError: if the program was compiled for another task, see `check_observed`.
    """

    def __init__(self, environment: Environment, program: Program):
        check_observed(environment, program)
        self.environment = environment
        self.program = program

    def reset(self, rng: jax.Array, *, eps: Any = 0, starting_step: Any = 0) -> tuple[EnvState, Any]:
        """Begins an episode at a step of the timeline's episode `eps`; returns its state and first observation."""
        graph_state = self.program.init(rng, eps=eps, starting_step=starting_step)
        graph_state = graph_state.replace(memory=self.environment.initial_memory())
        graph_state, step_state = self.program.reset(graph_state)
        return EnvState(graph_state, jnp.int32(0)), self.environment.observation(step_state)

    def step(self, state: EnvState, action: jax.Array) -> tuple[EnvState, Outcome]:
        """Makes one supervisor step with `action`, an element of the action space. Past the end of an episode, call
        `reset`.
        """
        task = self.environment
        graph_state = task.before_step(state.graph_state)
        step_state, output = task.take_action(self.program.step_state(graph_state), action)
        graph_state, step_state = self.program.step(graph_state, step_state, output)
        steps = state.steps + 1
        outcome = Outcome(
            observation=task.observation(step_state),
            reward=jnp.asarray(task.reward(graph_state), jnp.float32),
            terminated=jnp.asarray(task.terminated(graph_state), bool),
            truncated=(steps >= task.max_steps) | self.program.is_over(graph_state),
        )
        return EnvState(graph_state, steps), outcome
