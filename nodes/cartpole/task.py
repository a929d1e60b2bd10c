"""Defines the swing-up: from anywhere to upright, and to stay there, without leaving the track."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from nodes.cartpole.agent import Agent
from rexcli import Box, Environment, GraphState, StepState


class SwingUp(Environment):
    """The swing-up task, with a reward of at most 1 a step.

    The reward is larger, the higher the pole, the nearer the cart to the middle, and the smaller the force.

    The episode ends if the cart leaves the track.

    Args:
        seconds: length of a training episode.
        track: how far the track goes to either side, m.
    """

    def __init__(self, seconds: float = 6.0, track: float = 2.0):
        self.seconds = seconds
        self.track = track

    @property
    def agent(self) -> Agent:
        """The supervisor, which knows what a policy sees and what its actions are."""
        node: Any = self.supervisor
        return node

    @property
    def action_space(self) -> Box:
        limit = self.agent.max_force
        return Box([-limit], [limit])

    def observe(self, step_state: StepState) -> jax.Array:
        return self.agent.observe(step_state)

    def act(self, step_state: StepState, action: jax.Array) -> tuple[StepState, Any]:
        return self.agent.act(step_state, action[0])

    def reward(self, graph_state: GraphState) -> jax.Array:
        """Returns the reward, `[]`; a pole that spins past the top earns at most half of one that stays there."""
        world = graph_state.state["world"]
        upright = (1 + jnp.cos(world.th)) / 2
        calm = 1 / (1 + (world.w / 6.0) ** 2)
        middle = 1 - (world.x / self.track) ** 2
        return upright * (0.5 + 0.5 * calm * middle) - 0.1 * (1 - middle)

    def terminated(self, graph_state: GraphState) -> jax.Array:
        return jnp.abs(graph_state.state["world"].x) > self.track

    def privileged(self, graph_state: GraphState) -> jax.Array:
        """Returns the world's current state, `[x, v, cos th, sin th, w]`, which the camera shows late."""
        world = graph_state.state["world"]
        return jnp.stack([world.x, world.v, jnp.cos(world.th), jnp.sin(world.th), world.w])

    def measure(self, graph_state: GraphState) -> Mapping[str, jax.Array]:
        """Returns `tilt`, degrees from upright, and `position`, m from the middle of the track."""
        world = graph_state.state["world"]
        return {
            "tilt": jnp.degrees(jnp.abs(jnp.arctan2(jnp.sin(world.th), jnp.cos(world.th)))),
            "position": jnp.abs(world.x),
        }
