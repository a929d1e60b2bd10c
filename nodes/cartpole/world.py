"""Simulates a pole that swings freely on a cart, by fourth-order Runge-Kutta.

The equations are those of R. V. Florian, "Correct equations for the dynamics of the cart-pole system" (2007), without
Coulomb friction.
"""

from __future__ import annotations

import math
from typing import Literal

import jax
import jax.numpy as jnp
from flax import struct

from rexcli import GraphState, Node, RexError, StepState

MAX_SUBSTEP = 0.02
"""Longest integration step, s."""


@struct.dataclass
class Params:
    """Physical constants of cart and pole."""

    cart_mass: float = 1.0  # kg
    pole_mass: float = 0.1  # kg
    half_length: float = 0.4  # from the hinge to the middle of the pole, a uniform rod, m
    cart_damping: float = 0.5  # N s/m
    pole_damping: float = 0.001  # N m s
    gravity: float = 9.81  # m/s^2


@struct.dataclass
class State:
    """Positions and velocities of cart and pole."""

    x: jax.Array  # position of the cart, m, 0 in the middle of the track
    v: jax.Array  # its velocity, m/s
    th: jax.Array  # angle of the pole, rad, 0 upright, pi hanging, positive towards positive x
    w: jax.Array  # its angular velocity, rad/s


@struct.dataclass
class Output:
    """Positions that a camera can see."""

    x: jax.Array  # m
    th: jax.Array  # rad


def acceleration(params: Params, state: State, force: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the acceleration of the cart, m/s^2, and of the pole, rad/s^2, under a force on the cart, N."""
    total = params.cart_mass + params.pole_mass
    moment = params.pole_mass * params.half_length  # kg m
    sin, cos = jnp.sin(state.th), jnp.cos(state.th)
    push = (force - params.cart_damping * state.v + moment * state.w**2 * sin) / total
    angular = (params.gravity * sin - cos * push - params.pole_damping * state.w / moment) / (
        params.half_length * (4 / 3 - params.pole_mass * cos**2 / total)
    )
    return push - moment * angular * cos / total, angular


def integrate(params: Params, state: State, force: jax.Array, dt: float) -> State:
    """Returns the state `dt` seconds later, by one Runge-Kutta step of order 4 under a constant force, N."""

    def slope(state: State) -> State:
        linear, angular = acceleration(params, state, force)
        return State(x=state.v, v=linear, th=state.w, w=angular)

    def after(seconds: float, slope: State) -> State:
        return jax.tree.map(lambda value, change: value + seconds * change, state, slope)

    k1 = slope(state)
    k2 = slope(after(dt / 2, k1))
    k3 = slope(after(dt / 2, k2))
    k4 = slope(after(dt, k3))
    return jax.tree.map(lambda y, a, b, c, d: y + dt / 6 * (a + 2 * b + 2 * c + d), state, k1, k2, k3, k4)


def energy(params: Params, state: State) -> jax.Array:
    """Returns the kinetic and potential energy, J, which is 0 at rest with the pole level."""
    total = params.cart_mass + params.pole_mass
    moment = params.pole_mass * params.half_length
    inertia = 4 / 3 * moment * params.half_length  # of the rod around its hinge, kg m^2
    kinetic = total / 2 * state.v**2 + moment * state.v * state.w * jnp.cos(state.th) + inertia / 2 * state.w**2
    return kinetic + moment * params.gravity * jnp.cos(state.th)


class World(Node):
    """Cart and pole as a node; each step integrates one period, so that its output holds at the end of the step.

    Args:
        start: `random` (the cart within ±1 m, the pole anywhere, both moving), `hanging` or `upright` (at rest in the
            middle but for a push).
    """

    def __init__(self, start: Literal["random", "hanging", "upright"] = "random"):
        if start not in ("random", "hanging", "upright"):
            raise RexError(f"start '{start}': give 'random', 'hanging' or 'upright'")
        self.start = start

    def default_delay(self) -> float:
        """Returns just under a period, s."""
        return 0.999 / self.rate

    def init_params(self, rng: jax.Array, graph_state: GraphState) -> Params:
        return Params()

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> State:
        x, v, th, w = jax.random.uniform(rng, (4,), minval=-1.0)
        if self.start == "random":
            return State(x=x, v=v, th=jnp.pi * th, w=3.0 * w)
        middle = jnp.pi if self.start == "hanging" else 0.0
        return State(x=0.1 * x, v=0.1 * v, th=middle + 0.1 * th, w=0.1 * w)

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Output:
        state = graph_state.state[self.name]
        return Output(x=state.x, th=state.th)

    def step(self, step_state: StepState) -> tuple[StepState, Output]:
        force = step_state.inputs["motor"][-1].data.force
        substeps = math.ceil(1 / self.rate / MAX_SUBSTEP - 1e-9)
        state = step_state.state
        for _ in range(substeps):
            state = integrate(step_state.params, state, force, 1 / self.rate / substeps)
        return step_state.replace(state=state), Output(x=state.x, th=state.th)
