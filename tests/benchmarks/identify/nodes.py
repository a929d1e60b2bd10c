"""A pendulum of six unknown constants, with an encoder that is not perfect and a controller that excites it."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from nodes.pendulum.agent import Agent
from nodes.pendulum.sensor import Output as Reading
from nodes.pendulum.world import Output, Params, State
from rexcli import GraphState, Node, StepState

MAX_SUBSTEP = 0.005
COUNTS = 4096
"""Of the encoder, a turn."""


@struct.dataclass
class LeaningParams(Params):
    """Those of the disc pendulum and two more."""

    drag: float = 4e-7  # of the air, N m s^2
    tilt: float = 0.0  # of the stand, rad


def acceleration(p: LeaningParams, th: jax.Array, thd: jax.Array, voltage: jax.Array) -> jax.Array:
    drive = p.motor_constant / p.resistance
    torque = (
        drive * voltage
        + p.mass * p.gravity * p.length * jnp.sin(th + p.tilt)
        - (p.damping + drive * p.motor_constant) * thd
        - p.drag * thd * jnp.abs(thd)
        - p.coulomb_friction * jnp.tanh(thd / 0.05)
    )
    return torque / p.inertia


class World(Node):
    """Integrates one period by Runge-Kutta steps of order 4."""

    def __init__(self, max_voltage: float = 2.0):
        self.max_voltage = max_voltage

    def default_delay(self) -> float:
        return 0.999 / self.rate

    def init_params(self, rng: jax.Array, graph_state: GraphState) -> LeaningParams:
        return LeaningParams()

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> State:
        start = graph_state.state.get("agent")
        th, thd = (jnp.pi, 0.0) if start is None else (start.th, start.thd)
        return State(th=jnp.asarray(th), thd=jnp.asarray(thd), cost=jnp.zeros(()))

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Output:
        state = graph_state.state[self.name]
        return Output(th=state.th, thd=state.thd)

    def step(self, step_state: StepState) -> tuple[StepState, Output]:
        p, state = step_state.params, step_state.state
        voltage = jnp.clip(step_state.inputs["actuator"][-1].data.action[0], -self.max_voltage, self.max_voltage)
        substeps = math.ceil(1 / self.rate / MAX_SUBSTEP - 1e-9)
        h, th, thd = 1 / self.rate / substeps, state.th, state.thd
        for _ in range(substeps):
            v1, a1 = thd, acceleration(p, th, thd, voltage)
            v2, a2 = thd + h / 2 * a1, acceleration(p, th + h / 2 * v1, thd + h / 2 * a1, voltage)
            v3, a3 = thd + h / 2 * a2, acceleration(p, th + h / 2 * v2, thd + h / 2 * a2, voltage)
            v4, a4 = thd + h * a3, acceleration(p, th + h * v3, thd + h * a3, voltage)
            th = th + h / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
            thd = jnp.clip(thd + h / 6 * (a1 + 2 * a2 + 2 * a3 + a4), -p.max_speed, p.max_speed)
        return step_state.replace(state=state.replace(th=th, thd=thd)), Output(th=th, thd=thd)


class Encoder(Node):
    """Counts the angle, and is off by some noise in the speed."""

    def __init__(self, speed_noise: float = 0.05):
        self.speed_noise = speed_noise  # rad/s

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Reading:
        return Reading(th=jnp.asarray(jnp.pi), thd=jnp.zeros(()))

    def step(self, step_state: StepState) -> tuple[StepState, Reading]:
        world = step_state.inputs["world"][-1].data
        noise = self.speed_noise * jax.random.normal(jax.random.fold_in(step_state.rng, step_state.seq))
        step = 2 * jnp.pi / COUNTS
        return step_state, Reading(th=step * jnp.round(world.th / step), thd=world.thd + noise)


class Exciting(Agent):
    """Holds each of its random voltages for as many steps, to excite slow motions too."""

    def __init__(self, holds: int = 5, **options: Any):
        super().__init__(**options)
        self.holds = holds

    def step(self, step_state: StepState) -> tuple[StepState, Any]:
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(7), step_state.eps), step_state.seq // self.holds)
        key = jax.random.fold_in(key, jax.random.bits(step_state.rng))
        action = jax.random.uniform(key, (1,), minval=-self.max_voltage, maxval=self.max_voltage)
        return self.act(step_state, action)
