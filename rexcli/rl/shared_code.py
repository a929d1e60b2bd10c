"""Finds whether two trainings run the same code, so that one compiled program can be used for both."""

from __future__ import annotations

import hashlib
from typing import Any

import jax
import jax.numpy as jnp

from rexcli.compiler.program import Program
from rexcli.rl.environment import Environment
from rexcli.rl.graph_env import GraphEnv

PyTree = Any
GAMMA = 0.99
"""A discount with which to trace `value_after`; its value is irrelevant."""


def code_of(task: Environment, program: Program) -> str:
    """Returns a digest of everything that a task and the nodes of its system compute in an episode, as XLA would get
    it.

    Numbers that are arguments of the program (its tables, the declared parameters and adjustable delays) do not change
    it. Other uses of these numbers do, for example if a node or a task reads its own declaration.
    """
    action = jax.eval_shape(task.action_space.sample, jax.random.key(0))

    def episode(program: Program, rng: jax.Array, action: PyTree, place: jax.Array) -> PyTree:
        env = GraphEnv(task, program)
        state, first = env.reset(rng, eps=place, starting_step=place)
        state, outcome = env.step(state, action)
        graph_state = state.graph_state
        known = task.value_after(graph_state, GAMMA), task.privileged(graph_state), task.measure(graph_state)
        return first, state, outcome, known

    place = jax.ShapeDtypeStruct((), jnp.int32)
    lowered = jax.jit(episode).lower(program, jax.random.key(0), action, place)
    spaces = task.observation_space, task.action_space, task.max_steps
    return hashlib.sha256(f"{lowered.as_text()} {spaces}".encode()).hexdigest()
