"""To be where the path is, at every moment of the flight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from nodes.quadrotor.pilot import Pilot
from rexcli import Box, Environment, GraphState, StepState


class Track(Environment):
    """Up to 1 a step: more, the nearer the quadrotor is, less for accelerations that jump.

    The episode is over where the quadrotor is lost.

    Args:
        seconds: length of a training episode.
        lost: how far from where it should be, m.
        smooth: what the square of a change of the acceleration costs, of its limit.
    """

    def __init__(self, seconds: float = 6.0, lost: float = 1.5, smooth: float = 0.05):
        self.seconds = seconds
        self.lost = lost
        self.smooth = smooth

    @property
    def pilot(self) -> Pilot:
        """The supervisor: it knows what a policy sees, and what its actions are."""
        node: Any = self.supervisor
        return node

    @property
    def action_space(self) -> Box:
        limit = self.pilot.max_acceleration
        return Box([-limit] * 3, [limit] * 3)

    def observe(self, step_state: StepState) -> jax.Array:
        return self.pilot.observe(step_state)

    def act(self, step_state: StepState, action: jax.Array) -> tuple[StepState, Any]:
        return self.pilot.act(step_state, action)

    def error(self, graph_state: GraphState) -> jax.Array:
        """From the quadrotor to where it should be, m."""
        state = graph_state.state
        return jnp.linalg.norm(state["world"].position - state["pilot"].goal)

    def reward(self, graph_state: GraphState) -> jax.Array:
        error = self.error(graph_state)
        actions = graph_state.state["pilot"].actions / self.pilot.max_acceleration
        jump = jnp.sum((actions[-1] - actions[-2]) ** 2)
        return 0.5 * jnp.exp(-((error / 0.15) ** 2)) + 0.5 * (1 - error / self.lost) - self.smooth * jump

    def terminated(self, graph_state: GraphState) -> jax.Array:
        return self.error(graph_state) > self.lost

    def measure(self, graph_state: GraphState) -> Mapping[str, jax.Array]:
        """`error`: from where it should be, m."""
        return {"error": self.error(graph_state)}
