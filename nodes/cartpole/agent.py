"""Defines the controller: what a policy sees of cart and pole, and its past actions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from rexcli import GraphState, Node, StepState

LONGEST = 0.2
"""Longest time between two frames that counts, s; in longer ones cart and pole may have turned around."""


@struct.dataclass
class State:
    """What the agent knows of cart and pole, and its past actions, which no frame shows yet."""

    x: jax.Array  # m, in the newest frame
    th: jax.Array  # rad, likewise
    forces: jax.Array  # N, [action_history], newest last


@struct.dataclass
class Output:
    """The force that is asked for."""

    force: jax.Array  # N


class Agent(Node):
    """A controller that sees the frames of its input's window; without a policy its actions are random.

    Args:
        action_history: number of past actions that a policy sees.
        max_force: largest force, N.
    """

    def __init__(self, action_history: int = 4, max_force: float = 10.0):
        self.action_history = action_history
        self.max_force = max_force

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> State:
        return State(x=jnp.zeros(()), th=jnp.zeros(()), forces=jnp.zeros(self.action_history))

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Output:
        return Output(force=jnp.zeros(()))

    def observe(self, step_state: StepState) -> jax.Array:
        """Returns the observation, `[3 + 1 + 3 (window - 1) + action_history]`.

        It holds the newest frame, `x, cos th, sin th`, and its age, s; the velocities from each frame of the window to
        the next, m/s and rad/s, and the time between them, s; and past actions, scaled to 1.
        """
        frames = step_state.inputs["camera"]
        newest = frames[-1]
        seconds = jnp.clip(frames.age[:-1] - frames.age[1:], 1e-3, LONGEST)
        same = frames.seq[:-1] < 0  # the gap before the first frame, which shows the same again
        velocities = (jnp.diff(value) / seconds for value in (frames.data.x, frames.data.th))
        return jnp.concatenate(
            [
                jnp.stack([newest.data.x, jnp.cos(newest.data.th), jnp.sin(newest.data.th), newest.age]),
                *(jnp.where(same, 0.0, velocity) for velocity in velocities),
                jnp.where(same, LONGEST, seconds),
                step_state.state.forces / self.max_force,
            ]
        )

    def act(self, step_state: StepState, force: jax.Array) -> tuple[StepState, Output]:
        """Remembers what it knows of cart and pole and the force, N, and sends the force."""
        newest = step_state.inputs["camera"][-1].data
        forces = jnp.concatenate([step_state.state.forces, force[None]])[1:]
        return step_state.replace(state=State(x=newest.x, th=newest.th, forces=forces)), Output(force=force)

    def step(self, step_state: StepState) -> tuple[StepState, Output]:
        key = jax.random.fold_in(step_state.rng, step_state.seq)
        return self.act(step_state, jax.random.uniform(key, (), minval=-self.max_force, maxval=self.max_force))
