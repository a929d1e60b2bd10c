"""Defines the controller: what a policy sees of the pendulum, and what it remembers."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import jax
import jax.numpy as jnp
from flax import struct

from rexcli import GraphState, Node, RexError, StepState


@struct.dataclass
class State:
    """The start that the agent drew, and its memory, newest last, which tells a policy about delays."""

    th: jax.Array  # initial angle, rad
    thd: jax.Array  # initial angular velocity, rad/s
    observations: jax.Array  # [observation_history, 3]
    actions: jax.Array  # V, [action_history, 1]


@struct.dataclass
class Output:
    """The voltage that is asked for."""

    action: jax.Array  # V, [1]


def features(th: jax.Array, thd: jax.Array) -> jax.Array:
    """Returns an observation without the jump at ±pi: `[cos th, sin th, thd]`."""
    return jnp.stack([jnp.cos(th), jnp.sin(th), thd])


class Agent(Node):
    """A controller that draws the start of the episode and keeps histories; without a policy its actions are random.

    Args:
        start: `random` (angle within ±pi, speed within ±9 rad/s) or `hanging` (at rest).
        observation_history: number of past observations that a policy sees.
        action_history: number of past actions that a policy sees.
        max_voltage: largest voltage, V.
        hold: number of steps for which a random action is held: the more, the further the pendulum swings.
    """

    def __init__(
        self,
        start: Literal["random", "hanging"] = "random",
        observation_history: int = 4,
        action_history: int = 4,
        max_voltage: float = 2.0,
        hold: int = 1,
    ):
        if start not in ("random", "hanging"):
            raise RexError(f"start '{start}': give 'random' or 'hanging'")
        self.start = start
        self.observation_history = observation_history
        self.action_history = action_history
        self.max_voltage = max_voltage
        self.hold = hold

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> State:
        th, thd = jnp.asarray(jnp.pi), jnp.zeros(())
        if self.start == "random":
            draw = jax.random.uniform(rng, (2,), minval=-1.0)
            th, thd = draw[0] * jnp.pi, draw[1] * 9.0
        return State(
            th=th,
            thd=thd,
            observations=jnp.tile(features(th, thd), (self.observation_history, 1)),
            actions=jnp.zeros((self.action_history, 1)),
        )

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Output:
        return Output(action=jnp.zeros(1))

    def newest(self, step_state: StepState) -> jax.Array:
        """Returns the newest measurement, `[3]`."""
        sensor = step_state.inputs["sensor"][-1].data
        return features(sensor.th, sensor.thd)

    def observe(self, step_state: StepState) -> jax.Array:
        """Returns the newest measurement, then the histories, `[3 + 3 observation_history + action_history]`."""
        state = step_state.state
        return jnp.concatenate([self.newest(step_state), state.observations.ravel(), state.actions.ravel()])

    def act(self, step_state: StepState, action: jax.Array) -> tuple[StepState, Output]:
        """Remembers the newest measurement and `action`, V `[1]`, and sends the action."""
        state = step_state.state
        state = state.replace(
            observations=jnp.concatenate([state.observations, self.newest(step_state)[None]])[1:],
            actions=jnp.concatenate([state.actions, action[None]])[1:],
        )
        return step_state.replace(state=state), Output(action=action)

    def step(self, step_state: StepState) -> tuple[StepState, Output]:
        key = jax.random.fold_in(step_state.rng, step_state.seq // self.hold)
        action = jax.random.uniform(key, (1,), minval=-self.max_voltage, maxval=self.max_voltage)
        return self.act(step_state, action)


class CameraAgent(Agent):
    """An agent that sees the angles of a camera; their speed follows from the earlier angles in the history.

    A measurement is `[cos th, sin th, lateness]`. The lateness is the time since the agent's last step beyond one
    period, in periods, since frames come in bursts.
    """

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> State:
        state = super().init_state(rng, graph_state)
        return replace(state, observations=state.observations.at[:, 2].set(0.0))

    def newest(self, step_state: StepState) -> jax.Array:
        th = step_state.inputs["sensor"][-1].data.th
        return features(th, jnp.clip(step_state.dt * self.rate - 1, -1.0, 1.0))
