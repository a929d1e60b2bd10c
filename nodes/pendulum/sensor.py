"""Defines the encoder, which measures angle and angular velocity of the pendulum."""

from __future__ import annotations

import jax
from flax import struct

from rexcli import GraphState, Node, StepState


@struct.dataclass
class Output:
    """A measurement."""

    th: jax.Array  # rad, 0 upright
    thd: jax.Array  # rad/s


class Sensor(Node):
    """A sensor that passes on the newest output of the world."""

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Output:
        world = graph_state.state["world"]
        return Output(th=world.th, thd=world.thd)

    def step(self, step_state: StepState) -> tuple[StepState, Output]:
        world = step_state.inputs["world"][-1].data
        return step_state, Output(th=world.th, thd=world.thd)
