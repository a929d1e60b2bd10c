"""Defines the arm's controller, which draws a goal for the hand and, without a policy, random torques."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from rexcli import GraphState, Node, StepState


class Agent(Node):
    """A controller whose state is the goal of the hand, m, `[2]` (x, z); it sends torques, N m, `[2]`.

    Args:
        torque: largest torques of shoulder and elbow, N m.
        reach: largest distance of a goal from the shoulder, m.
        hold: number of steps for which random torques are held: the more, the further the arm swings.
    """

    def __init__(self, torque: tuple[float, ...] = (12.0, 4.0), reach: float = 0.65, hold: int = 10):
        self.torque = torque
        self.reach = reach
        self.hold = hold

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> jax.Array:
        share, angle = jax.random.uniform(rng, (2,))
        radius, turned = self.reach * (0.4 + 0.6 * jnp.sqrt(share)), 2 * jnp.pi * angle
        return radius * jnp.array([jnp.sin(turned), jnp.cos(turned)])

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> jax.Array:
        return jnp.zeros(2)

    def step(self, step_state: StepState) -> tuple[StepState, jax.Array]:
        key = jax.random.fold_in(step_state.rng, step_state.seq // self.hold)
        return step_state, jnp.array(self.torque) * jax.random.uniform(key, (2,), minval=-1.0)
