"""Defines the inertial measurement unit on board, which estimates its attitude."""

from __future__ import annotations

import jax
from flax import struct

from nodes.quadrotor import rotation
from rexcli import GraphState, Node, StepState


@struct.dataclass
class Params:
    """The constant errors of the unit, drawn for each episode."""

    tilt: jax.Array  # how far its attitude is off, rotation vector in the body, rad, [3]
    bias: jax.Array  # of its rates, rad/s, [3]


@struct.dataclass
class Output:
    """An estimate of attitude and rates."""

    attitude: jax.Array  # quaternion, body to world, [4]
    angular_velocity: jax.Array  # rad/s in the body, [3]


class Imu(Node):
    """An inertial unit that sends attitude and rates, each with an error that is constant for a whole flight.

    Args:
        tilt: standard deviation of the attitude's error about each axis, rad.
        bias: standard deviation of the error of the rates, rad/s.
    """

    def __init__(self, tilt: float = 0.01, bias: float = 0.01):
        self.tilt = tilt
        self.bias = bias

    def init_params(self, rng: jax.Array, graph_state: GraphState) -> Params:
        tilt, bias = jax.random.normal(rng, (2, 3))
        return Params(tilt=self.tilt * tilt, bias=self.bias * bias)

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Output:
        world = graph_state.state["world"]
        return Output(world.attitude, world.angular_velocity)

    def step(self, step_state: StepState) -> tuple[StepState, Output]:
        params, world = step_state.params, step_state.inputs["world"][-1].data
        attitude = rotation.turned(world.attitude, params.tilt)
        return step_state, Output(attitude, world.angular_velocity + params.bias)
