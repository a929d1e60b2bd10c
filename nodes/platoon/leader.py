"""Defines the vehicle ahead of all, which a person drives."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from nodes.platoon.vehicle import CRUISE, Motion, Params, integrate
from rexcli import GraphState, Node, StepState


@struct.dataclass
class State:
    """The motion of the leader, and the speed that its driver wants."""

    motion: Motion
    wanted: jax.Array  # m/s


class Leader(Node):
    """A leader whose driver changes the speed now and then.

    Args:
        slowest, fastest: bounds of its speed, m/s.
        every: mean time for which a speed is kept, s.
    """

    def __init__(self, slowest: float = 14.0, fastest: float = 26.0, every: float = 3.0):
        self.slowest = slowest
        self.fastest = fastest
        self.every = every

    def default_delay(self) -> float:
        """Returns just under a period, s."""
        return 0.999 / self.rate

    def init_params(self, rng: jax.Array, graph_state: GraphState) -> Params:
        return Params()

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> State:
        motion = Motion(jnp.zeros(()), jnp.asarray(CRUISE), jnp.zeros(()))
        return State(motion, jax.random.uniform(rng, (), minval=self.slowest, maxval=self.fastest))

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Motion:
        motion: Motion = graph_state.state[self.name].motion
        return motion

    def step(self, step_state: StepState) -> tuple[StepState, Motion]:
        state = step_state.state
        changes, speed = jax.random.uniform(jax.random.fold_in(step_state.rng, step_state.seq), (2,))
        other = self.slowest + (self.fastest - self.slowest) * speed
        wanted = jnp.where(changes < 1 / (self.every * self.rate), other, state.wanted)
        asked = jnp.clip(wanted - state.motion.speed, -3.0, 2.0)
        motion = integrate(step_state.params, state.motion, asked, 1 / self.rate)
        return step_state.replace(state=State(motion, wanted)), motion
