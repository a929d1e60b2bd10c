"""Defines the swing-up: from anywhere to upright and still in three seconds, with a weak motor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp

from nodes.pendulum.agent import Agent, features
from rexcli import Box, Environment, GraphState, RexError, StepState


class SwingUp(Environment):
    """The swing-up task; the reward is minus the cost that the world gathered since the last step.

    An episode never terminates.

    Args:
        seconds: length of a training episode.
        truncation: how the return beyond an episode's end is estimated: `bootstrap` by the critic, `repeat` as if the
            last reward went on for ever (as in the tutorial).
    """

    def __init__(self, seconds: float = 3.0, truncation: Literal["bootstrap", "repeat"] = "bootstrap"):
        if truncation not in ("bootstrap", "repeat"):
            raise RexError(f"env.truncation '{truncation}': give 'bootstrap' or 'repeat'")
        self.seconds = seconds
        self.truncation = truncation

    @property
    def agent(self) -> Agent:
        """The supervisor, which knows what a policy sees and what its actions are."""
        node: Any = self.supervisor
        return node

    @property
    def action_space(self) -> Box:
        limit = self.agent.max_voltage
        return Box([-limit], [limit])

    def observe(self, step_state: StepState) -> jax.Array:
        return self.agent.observe(step_state)

    def act(self, step_state: StepState, action: jax.Array) -> tuple[StepState, Any]:
        return self.agent.act(step_state, action)

    def before_step(self, graph_state: GraphState) -> GraphState:
        world = graph_state.state["world"].replace(cost=jnp.zeros(()))
        return graph_state.replace(state={**graph_state.state, "world": world})

    def reward(self, graph_state: GraphState) -> jax.Array:
        return -graph_state.state["world"].cost

    def value_after(self, graph_state: GraphState, gamma: float) -> jax.Array | None:
        return self.reward(graph_state) / (1 - gamma) if self.truncation == "repeat" else None

    def privileged(self, graph_state: GraphState) -> jax.Array:
        """Returns the world's current state, `[cos th, sin th, thd]`, which no sensor shows in time."""
        world = graph_state.state["world"]
        return features(world.th, world.thd)

    def measure(self, graph_state: GraphState) -> Mapping[str, jax.Array]:
        """Returns `upright`, the cosine of the angle, and `speed`, rad/s, without its sign."""
        world = graph_state.state["world"]
        return {"upright": jnp.cos(world.th), "speed": jnp.abs(world.thd)}
