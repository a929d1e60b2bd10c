"""Defines the task to follow the path at every moment of the flight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from nodes.quadrotor.pilot import Pilot
from rexcli import Box, Environment, GraphState, StepState


class Track(Environment):
    """The task to follow the path, with a reward of at most 1 a step.

    The reward is larger, the nearer the quadrotor is to where it should be, and less for accelerations that jump.

    The episode ends if the quadrotor is lost.

    Args:
        seconds: length of a training episode.
        lost: distance from where it should be at which the quadrotor counts as lost, m.
        smooth: cost of the square of a change of the acceleration, as a share of its limit.
    """

    def __init__(self, seconds: float = 6.0, lost: float = 1.5, smooth: float = 0.05):
        self.seconds = seconds
        self.lost = lost
        self.smooth = smooth

    @property
    def pilot(self) -> Pilot:
        """The supervisor, which knows what a policy sees and what its actions are."""
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
        """Returns the distance of the quadrotor from where it should be, m."""
        state = graph_state.state
        return jnp.linalg.norm(state["world"].position - state["pilot"].goal)

    def reward(self, graph_state: GraphState) -> jax.Array:
        error = self.error(graph_state)
        actions = graph_state.state["pilot"].actions / self.pilot.max_acceleration
        jump = jnp.sum((actions[-1] - actions[-2]) ** 2)
        return 0.5 * jnp.exp(-((error / 0.15) ** 2)) + 0.5 * (1 - error / self.lost) - self.smooth * jump

    def terminated(self, graph_state: GraphState) -> jax.Array:
        return self.error(graph_state) > self.lost

    def privileged(self, graph_state: GraphState) -> Any:
        """Returns the world's current state and where the quadrotor should be from there, m `[3]`; no sensor shows them
        in time."""
        world = graph_state.state["world"]
        way = graph_state.state["pilot"].goal - world.position
        return way, world.velocity, world.attitude, world.angular_velocity, world.thrusts

    def measure(self, graph_state: GraphState) -> Mapping[str, jax.Array]:
        """Returns `error`, the distance from where it should be, m."""
        return {"error": self.error(graph_state)}
