"""Defines the task to bring the hand to a goal and to hold it there, against gravity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from nodes.arm.agent import Agent
from rexcli import Box, Environment, GraphState, StepState

UPPER_ARM, FOREARM = 0.4, 0.3
"""Lengths of the links, m."""


class Reach(Environment):
    """The reaching task: the reward is minus the distance of the hand from its goal, plus a little for being near.

    Args:
        seconds: length of a training episode.
    """

    def __init__(self, seconds: float = 3.0):
        self.seconds = seconds

    @property
    def agent(self) -> Agent:
        node: Any = self.supervisor
        return node

    @property
    def action_space(self) -> Box:
        return Box([-limit for limit in self.agent.torque], list(self.agent.torque))

    def observe(self, step_state: StepState) -> jax.Array:
        """Returns angles, speeds, the seen hand, the way from there to its goal, and the age of these, `[13]`."""
        seen = step_state.inputs["world"][-1]
        angles = jnp.array([seen.data["shoulder"], seen.data["elbow"]])
        speeds = jnp.array([seen.data["shoulder_speed"], seen.data["elbow_speed"]])
        hand = seen.data["hand"][jnp.array([0, 2])]
        goal = step_state.state
        return jnp.concatenate(
            [jnp.cos(angles), jnp.sin(angles), 0.1 * speeds, hand, goal, goal - hand, 100 * seen.age[None]]
        )

    def distance(self, graph_state: GraphState) -> jax.Array:
        """Returns the distance of the hand from its goal, m."""
        angles = graph_state.state["world"].qpos
        shoulder, whole = angles["shoulder"], angles["shoulder"] + angles["elbow"]
        hand = -UPPER_ARM * jnp.array([jnp.sin(shoulder), jnp.cos(shoulder)])
        hand -= FOREARM * jnp.array([jnp.sin(whole), jnp.cos(whole)])
        return jnp.linalg.norm(hand - graph_state.state["agent"] + 1e-9)

    def reward(self, graph_state: GraphState) -> jax.Array:
        distance = self.distance(graph_state)
        return jnp.exp(-((distance / 0.1) ** 2)) - distance

    def privileged(self, graph_state: GraphState) -> Any:
        """Returns the current angles, rad, and speeds, rad/s, of the joints."""
        world = graph_state.state["world"]
        return world.qpos, world.qvel

    def measure(self, graph_state: GraphState) -> Mapping[str, jax.Array]:
        """Returns `distance`: that of the hand from its goal, m."""
        return {"distance": self.distance(graph_state)}
