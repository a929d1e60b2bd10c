"""Defines the pilot, a computer on the ground that knows the path and asks for accelerations."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from nodes.quadrotor.path import Path
from rexcli import GraphState, Node, StepState

AHEAD = 0.2
"""How far ahead along the path the pilot looks, s."""


@struct.dataclass
class State:
    """The path, the state of the flight, and past actions."""

    path: Path
    elapsed: jax.Array  # s of the flight when its next step starts
    goal: jax.Array  # where the quadrotor should be then, m, [3]
    known: jax.Array  # where the pilot knows it to be, m, [3]
    actions: jax.Array  # m/s^2, [action_history, 3], newest last


@struct.dataclass
class Output:
    """The acceleration that is asked for."""

    acceleration: jax.Array  # m/s^2 in the world, [3]


class Pilot(Node):
    """A pilot; without a policy, it asks for the path's acceleration plus a spring and a damper to it, ignoring delays.

    Args:
        action_history: number of past actions that a policy sees.
        max_acceleration: largest acceleration along each axis, m/s^2.
    """

    def __init__(self, action_history: int = 5, max_acceleration: float = 8.0):
        self.action_history = action_history
        self.max_acceleration = max_acceleration

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> State:
        path = Path.draw(rng)
        zero = jnp.zeros(())
        goal = path.at(zero)[0]
        return State(path, zero, goal, goal, jnp.zeros((self.action_history, 3)))

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Output:
        return Output(jnp.zeros(3))

    def seen(self, step_state: StepState) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Returns the newest position, m `[3]`, the velocity over its window, m/s `[3]`, and the position's age, s."""
        seen = step_state.inputs["mocap"]
        seconds = jnp.maximum(seen.age[0] - seen.age[-1], 1e-3)
        velocity = (seen.data.position[-1] - seen.data.position[0]) / seconds
        known = seen.seq[0] >= 0  # else the window has a gap
        start = step_state.state.path.at(jnp.zeros(()))[1]
        return seen.data.position[-1], jnp.where(known, velocity, start), seen.age[-1]

    def observe(self, step_state: StepState) -> jax.Array:
        """Returns the observation, `[16 + 3 action_history]`.

        It holds the way from the newest position to where the quadrotor should be now, and `AHEAD` later, m; its
        velocity, m/s; how much faster it should be; the path's acceleration `AHEAD` later, m/s^2; the position's age,
        s; and past actions, scaled to 1.
        """
        state = step_state.state
        position, velocity, age = self.seen(step_state)
        now, later = state.path.at(state.elapsed), state.path.at(state.elapsed + AHEAD)
        return jnp.concatenate(
            [
                now[0] - position,
                later[0] - position,
                velocity,
                now[1] - velocity,
                later[2],
                age[None],
                state.actions.ravel() / self.max_acceleration,
            ]
        )

    def act(self, step_state: StepState, acceleration: jax.Array) -> tuple[StepState, Output]:
        """Remembers what it knows and the acceleration, m/s^2 `[3]`, and sends the acceleration."""
        state = step_state.state
        elapsed = state.elapsed + 1 / self.rate
        actions = jnp.concatenate([state.actions, acceleration[None]])[1:]
        known = step_state.inputs["mocap"][-1].data.position
        state = State(state.path, elapsed, state.path.at(elapsed)[0], known, actions)
        return step_state.replace(state=state), Output(acceleration)

    def step(self, step_state: StepState) -> tuple[StepState, Output]:
        goal, speed, acceleration = step_state.state.path.at(step_state.state.elapsed)
        position, velocity, _ = self.seen(step_state)
        asked = acceleration + 6.0 * (goal - position) + 4.0 * (speed - velocity)
        return self.act(step_state, jnp.clip(asked, -self.max_acceleration, self.max_acceleration))
