"""Defines the motor of the cart."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from rexcli import GraphState, Node, StepState


@struct.dataclass
class Output:
    """The force on the cart."""

    force: jax.Array  # N


class Motor(Node):
    """A motor that pushes with the force that it was last asked for.

    Args:
        max_force: largest force, N.
    """

    def __init__(self, max_force: float = 10.0):
        self.max_force = max_force

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Output:
        return Output(force=jnp.zeros(()))

    def step(self, step_state: StepState) -> tuple[StepState, Output]:
        asked = step_state.inputs["agent"][-1].data.force
        return step_state, Output(force=jnp.clip(asked, -self.max_force, self.max_force))
