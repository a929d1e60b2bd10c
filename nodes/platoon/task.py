"""Defines the task to keep every gap at its desired size, whatever the leader does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from nodes.platoon.car import GAP
from nodes.platoon.coordinator import Coordinator, gaps, together
from nodes.platoon.vehicle import Motion
from rexcli import Box, Environment, GraphState, StepState


class KeepGaps(Environment):
    """The task to keep gaps, with a reward of at most 1 a step.

    The reward is larger, the nearer all gaps are to their desired size, and less for orders that are large or jump.

    The episode ends if two vehicles collide or one is left behind.

    Args:
        seconds: length of a training episode.
        widest: gap from which on a vehicle counts as left behind, m.
        effort: cost of the mean square of orders, as a share of their limit.
        smooth: cost of the mean square of their changes.
    """

    def __init__(self, seconds: float = 15.0, widest: float = 20.0, effort: float = 0.05, smooth: float = 0.2):
        self.seconds = seconds
        self.widest = widest
        self.effort = effort
        self.smooth = smooth

    @property
    def coordinator(self) -> Coordinator:
        """The supervisor, which knows what a policy sees and what its actions are."""
        node: Any = self.supervisor
        return node

    @property
    def action_space(self) -> Box:
        node = self.coordinator
        return Box([-node.max_order] * node.cars, [node.max_order] * node.cars)

    def observe(self, step_state: StepState) -> jax.Array:
        return self.coordinator.observe(step_state)

    def act(self, step_state: StepState, action: jax.Array) -> tuple[StepState, Any]:
        return self.coordinator.act(step_state, action)

    def motions(self, graph_state: GraphState) -> Motion:
        """Returns the current motions of leader and cars, each leaf `[1 + cars]`."""
        names = ("leader", *(f"car_{i}" for i in range(self.coordinator.cars)))
        return together([graph_state.state[name].motion for name in names])

    def gaps(self, graph_state: GraphState) -> jax.Array:
        """Returns the gaps between bumpers, m, `[cars]`."""
        return gaps(self.motions(graph_state))

    def reward(self, graph_state: GraphState) -> jax.Array:
        error = jnp.abs(self.gaps(graph_state) - GAP)
        orders = graph_state.state[self.system.supervisor].orders / self.coordinator.max_order
        near = 0.5 * jnp.exp(-((error / 0.5) ** 2)) + 0.5 * (1 - error / GAP)
        cost = self.effort * orders[-1] ** 2 + self.smooth * (orders[-1] - orders[-2]) ** 2
        return jnp.mean(near - cost)

    def terminated(self, graph_state: GraphState) -> jax.Array:
        now = self.gaps(graph_state)
        return ((now < 0.0) | (now > self.widest)).any()

    def privileged(self, graph_state: GraphState) -> Any:
        """Returns by how much gaps are too large, m, speeds, m/s, and accelerations, m/s^2: all before it is heard."""
        now = self.motions(graph_state)
        return gaps(now) - GAP, now.speed, now.acceleration

    def measure(self, graph_state: GraphState) -> Mapping[str, jax.Array]:
        """Returns `error`, that of the worst gap, m, and `gap`, the smallest, m, below 0 in a collision."""
        now = self.gaps(graph_state)
        return {"error": jnp.abs(now - GAP).max(), "gap": now.min()}
