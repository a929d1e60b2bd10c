"""The coordinator at the roadside, which hears all vehicles and orders what they do beside what they hear."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from nodes.platoon.car import GAP
from nodes.platoon.vehicle import Motion, Params
from rexcli import GraphState, Node, StepState


@struct.dataclass
class State:
    """What it has ordered, newest last."""

    orders: jax.Array  # m/s^2, [history, cars]


@struct.dataclass
class Output:
    """What each car is to add to the acceleration of the one ahead."""

    orders: jax.Array  # m/s^2, [cars]


def gaps(motions: Motion) -> jax.Array:
    """Between bumpers, m `[cars]`, of leader and cars, each leaf `[1 + cars]`."""
    return motions.position[:-1] - motions.position[1:] - Params().length


def together(motions: list[Motion]) -> Motion:
    """Of several vehicles one, each leaf `[vehicles]`."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *motions)


class Coordinator(Node):
    """Without a policy, a spring and a damper between neighbours, which know nothing of delays.

    Args:
        cars: how many follow the leader.
        order_history: how many of its past orders a policy sees.
        max_order: m/s^2.
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
        """Leader and cars where they are now if they go on as they last said, each leaf `[1 + cars]`."""
        heard = [step_state.inputs[name][-1] for name in ("leader", *(f"car_{i}" for i in range(self.cars)))]
        return together([message.data.after(jnp.where(message.seq < 0, 0.0, message.age)) for message in heard])

    def observe(self, step_state: StepState) -> jax.Array:
        """`[1 + cars (3 + order_history)]`.

        The leader's acceleration, m/s^2; of each car how much its gap is too large, m, how much faster the one ahead
        is, m/s, and its acceleration; past orders, of 1.
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
