"""Defines the coordinator at the roadside, which hears all vehicles and orders additional accelerations."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from nodes.platoon.car import GAP
from nodes.platoon.vehicle import Motion, Params
from rexcli import GraphState, Node, StepState


@struct.dataclass
class State:
    """Its past orders, newest last."""

    orders: jax.Array  # m/s^2, [history, cars]


@struct.dataclass
class Output:
    """What each car is to add to the acceleration of the vehicle ahead."""

    orders: jax.Array  # m/s^2, [cars]


def gaps(motions: Motion) -> jax.Array:
    """Returns the gaps between bumpers, m `[cars]`, from leader and cars, each leaf `[1 + cars]`."""
    return motions.position[:-1] - motions.position[1:] - Params().length


def together(motions: list[Motion]) -> Motion:
    """Stacks the motions of several vehicles, each leaf `[vehicles]`."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *motions)


class Coordinator(Node):
    """A coordinator; without a policy, it is a spring and a damper between neighbours, which ignore delays.

    Args:
        cars: number of cars that follow the leader.
        order_history: number of past orders that a policy sees.
        max_order: largest order, m/s^2.
    """

    def __init__(self, cars: int = 4, order_history: int = 4, max_order: float = 3.0):
        self.cars = cars
        self.order_history = order_history
        self.max_order = max_order

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> State:
        return State(jnp.zeros((self.order_history, self.cars)))

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Output:
        return Output(jnp.zeros(self.cars))

    def motions(self, step_state: StepState) -> Motion:
        """Returns where leader and cars are now if they went on as they last said, each leaf `[1 + cars]`."""
        heard = [step_state.inputs[name][-1] for name in ("leader", *(f"car_{i}" for i in range(self.cars)))]
        return together([message.data.after(jnp.where(message.seq < 0, 0.0, message.age)) for message in heard])

    def observe(self, step_state: StepState) -> jax.Array:
        """Returns the observation, `[1 + cars (3 + order_history)]`.

        It holds the leader's acceleration, m/s^2; for each car by how much its gap is too large, m, how much faster the
        vehicle ahead is, m/s, and its acceleration; and past orders, scaled to 1.
        """
        motions = self.motions(step_state)
        return jnp.concatenate(
            [
                motions.acceleration,
                gaps(motions) - GAP,
                -jnp.diff(motions.speed),
                step_state.state.orders.ravel() / self.max_order,
            ]
        )

    def act(self, step_state: StepState, orders: jax.Array) -> tuple[StepState, Output]:
        """Remembers the orders, m/s^2 `[cars]`, and sends them."""
        history = jnp.concatenate([step_state.state.orders, orders[None]])[1:]
        return step_state.replace(state=State(history)), Output(orders)

    def step(self, step_state: StepState) -> tuple[StepState, Output]:
        motions = self.motions(step_state)
        orders = 0.5 * (gaps(motions) - GAP) - 1.0 * jnp.diff(motions.speed)
        return self.act(step_state, jnp.clip(orders, -self.max_order, self.max_order))
