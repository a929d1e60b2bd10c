"""Simulates the pendulum: an ordinary differential equation, integrated by fourth-order Runge-Kutta."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import struct

from rexcli import GraphState, Node, StepState

MAX_SUBSTEP = 0.01
"""Longest integration step, s."""


@struct.dataclass
class Params:
    """Physical constants of the disc pendulum."""

    inertia: float = 0.000159931461600856  # J, kg m^2
    mass: float = 0.0508581731919534  # m, kg
    length: float = 0.0415233722862552  # l, m
    damping: float = 1.43298488e-05  # b, N m s
    motor_constant: float = 0.03333912  # K, N m / A
    resistance: float = 7.73125142  # R, ohm
    coulomb_friction: float = 0.000975041213361349  # c, N m
    gravity: float = 9.81  # g, m/s^2
    max_speed: float = 40.0  # rad/s


@struct.dataclass
class State:
    """The position and speed of the pendulum, and the accumulated cost."""

    th: jax.Array  # angle, rad, 0 upright, pi hanging
    thd: jax.Array  # angular velocity, rad/s
    cost: jax.Array  # summed over world steps since somebody set it to 0


@struct.dataclass
class Output:
    """What a sensor can measure."""

    th: jax.Array  # rad
    thd: jax.Array  # rad/s


def acceleration(params: Params, th: jax.Array, thd: jax.Array, voltage: jax.Array) -> jax.Array:
    """Returns the angular acceleration, rad/s^2, of the pendulum under a motor voltage, V."""
    drive = params.motor_constant / params.resistance
    torque = (
        drive * voltage
        + params.mass * params.gravity * params.length * jnp.sin(th)
        - (params.damping + drive * params.motor_constant) * thd
        - params.coulomb_friction * jnp.sign(thd)
    )
    return torque / params.inertia


def integrate(
    params: Params, th: jax.Array, thd: jax.Array, voltage: jax.Array, dt: float
) -> tuple[jax.Array, jax.Array]:
    """Returns the pendulum `dt` seconds later, by one Runge-Kutta step of order 4; the speed stays within its limit."""

    def slope(th: jax.Array, thd: jax.Array) -> tuple[jax.Array, jax.Array]:
        return thd, acceleration(params, th, thd, voltage)

    v1, a1 = slope(th, thd)
    v2, a2 = slope(th + dt / 2 * v1, thd + dt / 2 * a1)
    v3, a3 = slope(th + dt / 2 * v2, thd + dt / 2 * a2)
    v4, a4 = slope(th + dt * v3, thd + dt * a3)
    th = th + dt / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
    thd = thd + dt / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
    return th, jnp.clip(thd, -params.max_speed, params.max_speed)


def wrap(th: jax.Array) -> jax.Array:
    """Returns the angle within ±pi of upright."""
    return th - 2 * jnp.pi * jnp.floor((th + jnp.pi) / (2 * jnp.pi))


def swing_up_cost(th: jax.Array, thd: jax.Array, voltage: jax.Array) -> jax.Array:
    """Returns the cost of one world step: for being far from upright, for speed near it, and for effort."""
    angle = wrap(th)
    return angle**2 + 0.1 * (thd / (1 + 10 * jnp.abs(angle))) ** 2 + 0.01 * voltage**2


class OdeWorld(Node):
    """The pendulum as a node; each step integrates one period, so that its output holds at the end of the step."""

    def __init__(self, max_voltage: float = 2.0):
        self.max_voltage = max_voltage

    def default_delay(self) -> float:
        """Returns just under a period, s."""
        return 0.999 / self.rate

    def init_params(self, rng: jax.Array, graph_state: GraphState) -> Params:
        return Params()

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> State:
        start = graph_state.state.get("agent")
        th, thd = (jnp.pi, 0.0) if start is None else (start.th, start.thd)
        return State(th=jnp.asarray(th), thd=jnp.asarray(thd), cost=jnp.zeros(()))

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Output:
        state = graph_state.state[self.name]
        return Output(th=state.th, thd=state.thd)

    def step(self, step_state: StepState) -> tuple[StepState, Output]:
        params, state = step_state.params, step_state.state
        action = step_state.inputs["actuator"][-1].data.action[0]
        voltage = jnp.clip(action, -self.max_voltage, self.max_voltage)
        substeps = math.ceil(1 / self.rate / MAX_SUBSTEP - 1e-9)
        th, thd = state.th, state.thd
        for _ in range(substeps):
            th, thd = integrate(params, th, thd, voltage, 1 / self.rate / substeps)
        cost = state.cost + swing_up_cost(th, thd, voltage)
        return step_state.replace(state=State(th=th, thd=thd, cost=cost)), Output(th=th, thd=thd)
