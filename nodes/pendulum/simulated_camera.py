"""Defines the camera that watches a simulated pendulum."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from rexcli import GraphState, Node, StepState


@struct.dataclass
class Output:
    """The angle that is seen in one frame."""

    th: jax.Array  # rad, 0 upright


class SimulatedCamera(Node):
    """A camera that sees the world's angle, but no speed.

    Args:
        noise: standard deviation of the seen angle, rad.
    """

    def __init__(self, noise: float = 0.005):
        self.noise = noise

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Output:
        return Output(th=graph_state.state["world"].th)

    def step(self, step_state: StepState) -> tuple[StepState, Output]:
        key = jax.random.fold_in(step_state.rng, step_state.seq)
        th = step_state.inputs["world"][-1].data.th
        return step_state, Output(th=th + self.noise * jax.random.normal(key, jnp.shape(th)))
