"""Small systems in real time: nodes that misbehave on demand, and nodes that note what was done to them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.system.delays import Constant
from rexcli.system.node import Node
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.states import GraphState, StepState
from rexcli.system.system import System

PyTree = Any


class Counter(Node):
    """Jitted: counts its steps."""

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> jax.Array:
        return jnp.zeros((), jnp.int32)

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> jax.Array:
        return jnp.zeros(())

    def step(self, step_state: StepState) -> tuple[StepState, jax.Array]:
        return step_state.replace(state=step_state.state + 1), step_state.ts + 0.0


class Diary(Node):
    """Plain Python: does what `act` says, and notes every call.

    Args:
        act: is called with the step state in every step; what it returns, if anything, is sent.
        begin, end: stand in for `startup` and `stop`.
    """

    jit = False

    def __init__(
        self,
        act: Callable[[StepState], Any] = lambda state: None,
        begin: Callable[[], bool | None] = lambda: True,
        end: Callable[[], bool | None] = lambda: True,
    ):
        self.act, self.begin, self.end = act, begin, end
        self.calls: list[str | int] = []

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> jax.Array:
        return jnp.zeros(())

    def startup(self, graph_state: GraphState, timeout: float | None = None) -> Any:
        self.calls.append("startup")
        return self.begin()

    def step(self, step_state: StepState) -> tuple[StepState, Any]:
        self.calls.append(int(step_state.seq))
        sent = self.act(step_state)
        if isinstance(sent, tuple):
            return sent  # type: ignore[return-value]
        return step_state, np.float32(0.0) if sent is None else sent

    def stop(self, timeout: float | None = None) -> Any:
        self.calls.append("stop")
        return self.end()

    @property
    def ticks(self) -> list[int]:
        return [call for call in self.calls if isinstance(call, int)]


def chain(*nodes: Node, rate: float = 200.0, blocking: bool = True, **options: Any) -> System:
    """Nodes `n0`, `n1`, …, each reading the one before it; the last is the supervisor."""
    specs = [(NodeSpec(f"n{i}", rate, delay=Constant(0.0), **options), node) for i, node in enumerate(nodes)]
    edges = [
        Edge(f"e{i}", f"n{i}", f"n{i + 1}", "before", blocking=blocking, expected_delay=0.0)
        for i in range(len(nodes) - 1)
    ]
    return System(specs, edges, f"n{len(nodes) - 1}")


def sleeper(seconds: float, tick: int = -1) -> Callable[[StepState], None]:
    """Sleeps in tick `tick`, or in every one."""

    def act(state: StepState) -> None:
        if tick in (-1, int(state.seq)):
            time.sleep(seconds)

    return act
