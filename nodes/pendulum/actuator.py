"""Defines the motor driver, which applies the voltage that it last received."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from rexcli import GraphState, Node, StepState


@struct.dataclass
class Output:
    """The voltage that is applied."""

    action: jax.Array  # V, [1]


class Actuator(Node):
    """A motor driver that passes on what the agent last asked for."""

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Output:
        return Output(action=jnp.zeros(1))

    def step(self, step_state: StepState) -> tuple[StepState, Output]:
        return step_state, Output(action=step_state.inputs["agent"][-1].data.action)
