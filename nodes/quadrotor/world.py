"""Simulates a quadrotor: a rigid body with four rotors that follow their commands with a lag.

The equations are those of R. Mahony, V. Kumar and P. Corke, "Multirotor Aerial Vehicles" (IEEE Robotics & Automation
Magazine, 2012), with linear drag.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from nodes.quadrotor import rotation
from rexcli import GraphState, Node, StepState

FRONT = jnp.array([1.0, -1.0, -1.0, 1.0])
LEFT = jnp.array([-1.0, -1.0, 1.0, 1.0])
SPIN = jnp.array([1.0, -1.0, 1.0, -1.0])
"""The side of the middle on which each rotor is, and the direction in which its drag turns the body."""
UP = jnp.array([0.0, 0.0, 1.0])


@struct.dataclass
class Params:
    """Physical constants of the quadrotor."""

    mass: float = 0.5  # kg
    inertia_roll: float = 2.5e-3  # about x and y, kg m^2
    inertia_yaw: float = 4.5e-3  # about z, kg m^2
    arm: float = 0.12  # from the middle to each rotor, along x and along y, m
    drag_ratio: float = 0.016  # of a rotor's torque to its thrust, m
    motor_lag: float = 0.03  # time constant of a rotor's thrust, s
    max_thrust: float = 3.0  # of a rotor, N
    drag: float = 0.15  # N s/m
    gravity: float = 9.81  # m/s^2


@struct.dataclass
class State:
    """Position and motion of the quadrotor; vectors are in the world with z up, except for `angular_velocity`."""

    position: jax.Array  # m, [3]
    velocity: jax.Array  # m/s, [3]
    attitude: jax.Array  # quaternion, body to world, [4]
    angular_velocity: jax.Array  # rad/s in the body, [3]
    thrusts: jax.Array  # of the rotors, N, [4]


@struct.dataclass
class Output:
    """What sensors can measure."""

    position: jax.Array  # m, [3]
    attitude: jax.Array  # [4]
    angular_velocity: jax.Array  # rad/s, [3]


def inertia(params: Params) -> jax.Array:
    """Returns the moments of inertia about the three axes of the body, kg m^2, `[3]`."""
    return jnp.stack([jnp.asarray(params.inertia_roll)] * 2 + [jnp.asarray(params.inertia_yaw)])


def torques(params: Params, thrusts: jax.Array) -> jax.Array:
    """Returns the torques of four rotors with these thrusts, N `[4]`, on the body, N m `[3]`."""
    return jnp.stack(
        [
            params.arm * (LEFT * thrusts).sum(),
            -params.arm * (FRONT * thrusts).sum(),
            params.drag_ratio * (SPIN * thrusts).sum(),
        ]
    )


def thrusts_for(params: Params, total: jax.Array, torque: jax.Array) -> jax.Array:
    """Returns the thrusts, N `[4]`, that give a total, N, and torques, N m `[3]`."""
    roll, pitch, yaw = torque / jnp.array([params.arm, params.arm, params.drag_ratio])
    return (total + LEFT * roll - FRONT * pitch + SPIN * yaw) / 4


def integrate(params: Params, state: State, commands: jax.Array, dt: float) -> State:
    """Returns the state `dt` seconds later under constant commands, N `[4]`.

    The lag of the rotors is solved exactly. Velocities change by the present forces, with the mean of the old and the
    new thrust; positions and attitude change by the mean of the old and the new velocities, so a free fall is exact.
    """
    wanted = jnp.clip(commands, 0.0, params.max_thrust)
    thrusts = wanted + (state.thrusts - wanted) * jnp.exp(-dt / params.motor_lag)
    mean = (thrusts + state.thrusts) / 2
    moments, spin = inertia(params), state.angular_velocity
    angular_velocity = spin + dt * (torques(params, mean) - jnp.cross(spin, moments * spin)) / moments
    attitude = rotation.turned(state.attitude, dt / 2 * (spin + angular_velocity))
    direction = (rotation.up(state.attitude) + rotation.up(attitude)) / 2
    force = mean.sum() * direction - params.drag * state.velocity
    velocity = state.velocity + dt * (force / params.mass - params.gravity * UP)
    position = state.position + dt / 2 * (state.velocity + velocity)
    return State(position, velocity, attitude, angular_velocity, thrusts)


def hover(params: Params) -> jax.Array:
    """Returns the thrust of each rotor with which the quadrotor hovers, N."""
    return jnp.asarray(params.mass * params.gravity / 4)


class World(Node):
    """The quadrotor as a node; each step integrates one period, so that its output holds at the end of the step.

    It starts at the start of the pilot's path, moving along it.
    """

    def default_delay(self) -> float:
        """Returns just under a period, s."""
        return 0.999 / self.rate

    def init_params(self, rng: jax.Array, graph_state: GraphState) -> Params:
        return Params()

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> State:
        pilot = graph_state.state.get("pilot")
        position, velocity = (jnp.zeros(3), jnp.zeros(3)) if pilot is None else pilot.path.at(jnp.zeros(()))[:2]
        off = jax.random.uniform(rng, (2, 3), minval=-0.2, maxval=0.2)
        return State(
            position=position + off[0],
            velocity=velocity + off[1],
            attitude=jnp.array([1.0, 0.0, 0.0, 0.0]),
            angular_velocity=jnp.zeros(3),
            thrusts=jnp.tile(hover(graph_state.params[self.name]), 4),
        )

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Output:
        state = graph_state.state[self.name]
        return Output(state.position, state.attitude, state.angular_velocity)

    def step(self, step_state: StepState) -> tuple[StepState, Output]:
        thrusts = step_state.inputs["attitude"][-1].data.thrusts
        state = integrate(step_state.params, step_state.state, thrusts, 1 / self.rate)
        return step_state.replace(state=state), Output(state.position, state.attitude, state.angular_velocity)
