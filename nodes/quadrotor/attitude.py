"""Defines the attitude loop on board, which turns an acceleration asked for into thrusts."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from nodes.quadrotor import rotation
from nodes.quadrotor.world import Params, hover, inertia, thrusts_for
from rexcli import GraphState, Node, StepState


@struct.dataclass
class Output:
    """The thrusts that are asked of the rotors."""

    thrusts: jax.Array  # N, [4]


class Attitude(Node):
    """A controller that points the thrust where the acceleration needs it and keeps the heading.

    It is proportional, of attitude and then of rates, as in D. Brescianini, M. Hehn and R. D'Andrea, "Nonlinear
    Quadrocopter Attitude Control" (2013).

    Its parameters are those that it assumes of the quadrotor.

    Args:
        attitude_gain: gain of the attitude error, rad/s per rad.
        rate_gain: gain of the rate error, rad/s^2 per rad/s.
    """

    def __init__(self, attitude_gain: float = 9.0, rate_gain: float = 25.0):
        self.attitude_gain = attitude_gain
        self.rate_gain = rate_gain

    def init_params(self, rng: jax.Array, graph_state: GraphState) -> Params:
        return Params()

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Output:
        return Output(jnp.tile(hover(Params()), 4))

    def step(self, step_state: StepState) -> tuple[StepState, Output]:
        params, imu = step_state.params, step_state.inputs["imu"][-1].data
        acceleration = step_state.inputs["pilot"][-1].data.acceleration
        return step_state, Output(self.thrusts(params, imu.attitude, imu.angular_velocity, acceleration))

    def thrusts(
        self, params: Params, attitude: jax.Array, angular_velocity: jax.Array, acceleration: jax.Array
    ) -> jax.Array:
        """Returns thrusts, N `[4]`, for an acceleration in the world frame, m/s^2 `[3]`."""
        x, y, z = acceleration
        force = params.mass * jnp.stack([x, y, jnp.maximum(z + params.gravity, 1.0)])  # never downwards
        wanted = rotation.tilt_to(force / jnp.linalg.norm(force))
        error = rotation.product(rotation.conjugate(attitude), wanted)
        rates = self.attitude_gain * 2 * jnp.sign(error[0]) * error[1:]
        torque = inertia(params) * self.rate_gain * (rates - angular_velocity)
        return jnp.clip(thrusts_for(params, force @ rotation.up(attitude), torque), 0.0, params.max_thrust)
