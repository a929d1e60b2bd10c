"""Supervisor steps per second at which `rex-lib` records the pendulum's graph, for `bench_timeline --peer`.

Runs in an interpreter that has `rex-lib` 0.0.12. Nodes do nothing, so that time alone is measured. Prints one number.
"""

from __future__ import annotations

import os
import sys
import time

import jax
import jax.numpy as jnp
from distrax import Normal
from flax import struct
from rex.asynchronous import AsyncGraph
from rex.base import Base
from rex.constants import Clock, RealTimeFactor
from rex.node import BaseNode

STEPS = 300


@struct.dataclass
class Nothing(Base):
    """An output of one number."""

    value: jax.Array


class Idle(BaseNode):
    """Sends the same number at every step."""

    def init_output(self, rng=None, graph_state=None):
        return Nothing(jnp.zeros(()))

    def step(self, step_state):
        return step_state, Nothing(jnp.zeros(()))


def main() -> None:
    delays = {"world": (0.01998, 1e-9), "sensor": (0.0075, 0.003), "agent": (0.01, 0.003), "actuator": (0.0075, 0.003)}
    nodes = {
        name: Idle(name=name, rate=50, delay_dist=Normal(*delay), order=order, color="gray")
        for order, (name, delay) in enumerate(delays.items())
    }
    near, far = Normal(0.002, 0.002), Normal(0.01, 0.002)
    nodes["agent"].connect(nodes["sensor"], window=3, blocking=True, delay_dist=near)
    nodes["actuator"].connect(nodes["agent"], blocking=True, delay_dist=near)
    nodes["world"].connect(nodes["actuator"], skip=True, delay_dist=far)
    nodes["sensor"].connect(nodes["world"], delay_dist=far)
    graph = AsyncGraph(
        nodes=nodes,
        supervisor=nodes["agent"],
        clock=Clock.SIMULATED,
        real_time_factor=RealTimeFactor.FAST_AS_POSSIBLE,
    )
    state = graph.init(rng=jax.random.PRNGKey(0))
    graph.warmup(state, jit_step=True)
    began = time.perf_counter()
    state, step_state = graph.reset(state)
    for _ in range(STEPS):
        state, step_state = graph.step(state, step_state, Nothing(jnp.zeros(())))
    print(STEPS / (time.perf_counter() - began))
    sys.stdout.flush()
    # Stopping may hang while the supervisor still waits, and nothing is left to save.
    os._exit(0)


if __name__ == "__main__":
    main()
