"""Defines the nodes of the cart: the world, a sensor and a controller."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from rexcli import GraphState, Node, StepState


@struct.dataclass
class Motion:
    """Position and speed of the cart, which are its state and what it sends."""

    place: jax.Array  # m, 0 in the middle
    speed: jax.Array  # m/s


class Cart(Node):
    """A mass that is pushed along a rail.

    Args:
        mass: kg.
        friction: N per m/s.
    """

    def __init__(self, mass: float = 1.0, friction: float = 0.5):
        self.mass, self.friction = mass, friction

    def default_delay(self) -> float:
        """Returns just under a period, s, since what a step simulates holds when it ends."""
        return 0.999 / self.rate

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> Motion:
        """Starts an episode anywhere within a metre of the middle, at rest."""
        return Motion(place=jax.random.uniform(rng, minval=-1.0, maxval=1.0), speed=jnp.float32(0.0))

    def step(self, step_state: StepState) -> tuple[StepState, Motion]:
        force = step_state.inputs["agent"][-1].data
        now, dt = step_state.state, step_state.dt
        speed = now.speed + dt * (force - self.friction * now.speed) / self.mass
        moved = Motion(place=now.place + dt * speed, speed=speed)
        return step_state.replace(state=moved), moved


class Encoder(Node):
    """A sensor that sends the cart's position, rounded to a millimetre."""

    def step(self, step_state: StepState) -> tuple[StepState, Motion]:
        seen = step_state.inputs["cart"][-1].data
        return step_state, seen.replace(place=jnp.round(seen.place, 3))


class Agent(Node):
    """A controller for as long as no policy acts: a spring and a damper. It sends a force, N."""

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> jax.Array:
        """Returns what the cart reads before the first message, which one node in a loop has to declare."""
        return jnp.zeros(())

    def step(self, step_state: StepState) -> tuple[StepState, jax.Array]:
        seen = step_state.inputs["encoder"][-1].data
        return step_state, jnp.clip(-4.0 * seen.place - 3.0 * seen.speed, -5.0, 5.0)
