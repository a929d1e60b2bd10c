"""Defines the task: what a policy sees, what its actions do, and what counts as good."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from rexcli import Box, Environment, GraphState, StepState


class Reach(Environment):
    """The task to bring the cart to a goal and keep it there. It is over if the cart leaves the rail.

    Args:
        goal: position of the goal, m.
        seconds: length of a training episode.
    """

    def __init__(self, goal: float = 0.0, seconds: float = 4.0):
        self.goal, self.seconds = goal, seconds

    @property
    def action_space(self) -> Box:
        """The range of the force, N."""
        return Box([-5.0], [5.0])

    def observe(self, step_state: StepState) -> jax.Array:
        """Returns all that the agent sees: two messages, and the age of the newest."""
        seen = step_state.inputs["encoder"]
        return jnp.concatenate([seen.data.place - self.goal, seen.data.speed, seen.age[-1:]])

    def act(self, step_state: StepState, action: jax.Array) -> tuple[StepState, jax.Array]:
        return step_state, action[0]

    def reward(self, graph_state: GraphState) -> jax.Array:
        cart = graph_state.state["cart"]
        return -jnp.abs(cart.place - self.goal) - 0.1 * jnp.abs(cart.speed)

    def terminated(self, graph_state: GraphState) -> jax.Array:
        return jnp.abs(graph_state.state["cart"].place) > 2.0

    def measure(self, graph_state: GraphState) -> Mapping[str, jax.Array]:
        """Returns scalars by name, for `eval.metrics`."""
        return {"distance": jnp.abs(graph_state.state["cart"].place - self.goal)}
