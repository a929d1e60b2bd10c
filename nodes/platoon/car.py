"""Defines a vehicle that follows the one ahead."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from nodes.platoon.vehicle import CRUISE, Motion, Params, integrate
from rexcli import GraphState, Node, StepState

GAP = 6.0
"""Desired gap to the vehicle ahead, m."""


@struct.dataclass
class State:
    """The motion of the car, and its place in the platoon."""

    motion: Motion
    place: jax.Array  # int32, 0 behind the leader


class Car(Node):
    """A car that accelerates as the vehicle ahead says it does, plus what the coordinator orders.

    It hears both late, so without orders the gaps would close whenever the leader brakes.

    Args:
        index: its place in the platoon.
    """

    def __init__(self, index: int = 0):
        self.index = index

    def default_delay(self) -> float:
        """Returns just under a period, s."""
        return 0.999 / self.rate

    def init_params(self, rng: jax.Array, graph_state: GraphState) -> Params:
        return Params()

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> State:
        off, speed = jax.random.uniform(rng, (2,), minval=-1.0)
        pitch = GAP + graph_state.params[self.name].length
        motion = Motion(off - (self.index + 1) * pitch, CRUISE + 0.5 * speed, jnp.zeros(()))
        return State(motion, jnp.int32(self.index))

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Motion:
        motion: Motion = graph_state.state[self.name].motion
        return motion

    def step(self, step_state: StepState) -> tuple[StepState, Motion]:
        state = step_state.state
        ahead = step_state.inputs["ahead"][-1].data.acceleration
        order = step_state.inputs["coordinator"][-1].data.orders[state.place]
        motion = integrate(step_state.params, state.motion, ahead + order, 1 / self.rate)
        return step_state.replace(state=State(motion, state.place)), motion
