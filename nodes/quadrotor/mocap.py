"""Defines the motion capture in the room, which sees where the quadrotor is."""

from __future__ import annotations

import jax
from flax import struct

from rexcli import GraphState, Node, StepState


@struct.dataclass
class Output:
    """The position that the cameras see together."""

    position: jax.Array  # m, [3]


class MotionCapture(Node):
    """A motion capture that sends the position, with noise.

    Args:
        noise: standard deviation along each axis, m.
    """

    def __init__(self, noise: float = 0.0005):
        self.noise = noise

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Output:
        return Output(graph_state.state["world"].position)

    def step(self, step_state: StepState) -> tuple[StepState, Output]:
        key = jax.random.fold_in(step_state.rng, step_state.seq)
        position = step_state.inputs["world"][-1].data.position
        return step_state, Output(position + self.noise * jax.random.normal(key, (3,)))
