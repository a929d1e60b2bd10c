"""A sensor-agent-actuator chain of `rex-lib` in real time, for `bench_wall_clock --peer`.

Runs in an interpreter that has `rex-lib` 0.0.12. Prints one JSON object: by node, how often it stepped, in how many
seconds, how late it started, ms, and how often its code was called.

    python peer_wall_clock.py RATE SECONDS        # of 2 seconds and more
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
from distrax import Normal
from flax import struct
from rex.asynchronous import AsyncGraph
from rex.base import Base
from rex.constants import Clock, RealTimeFactor
from rex.node import BaseNode

CALLS: Counter[str] = Counter()


@struct.dataclass
class Number(Base):
    """An output of one number."""

    value: jax.Array


class Part(BaseNode):
    """Adds one to what it reads."""

    def init_output(self, rng=None, graph_state=None):
        return Number(jnp.zeros(()))

    def step(self, step_state):
        value = jnp.zeros(())
        for inputs in step_state.inputs.values():
            value = value + inputs[-1].data.value
        jax.debug.callback(lambda name=self.name: CALLS.update([name]))
        return step_state, Number(value + 1)


def lateness(start: np.ndarray, rate: float) -> np.ndarray:
    """Seconds by which each step is later than the most punctual one of the second before it; the first is left out.

    So a delay that stays (`rex-lib` shifts the schedule of who is late) counts once and not for ever.
    """
    late = start - np.arange(len(start)) / rate
    window = round(rate)
    return np.array([late[k] - late[k - window : k + 1].min() for k in range(window, len(late))])


def main(rate: float, seconds: float) -> None:
    delay = Normal(1e-4, 1e-5)
    names = ("sensor", "agent", "actuator")
    nodes = {name: Part(name=name, rate=rate, delay_dist=delay, order=i, color="gray") for i, name in enumerate(names)}
    nodes["agent"].connect(nodes["sensor"], window=1, blocking=True, delay_dist=delay)
    nodes["actuator"].connect(nodes["agent"], window=1, blocking=True, delay_dist=delay)
    graph = AsyncGraph(
        nodes=nodes, supervisor=nodes["agent"], clock=Clock.WALL_CLOCK, real_time_factor=RealTimeFactor.REAL_TIME
    )
    state = graph.init(rng=jax.random.PRNGKey(0))
    graph.warmup(state, jit_step=True)
    steps = round(rate * seconds)
    CALLS.clear()
    state, step_state = graph.reset(state)
    began = time.perf_counter()
    for _ in range(steps):
        state, step_state = graph.step(state, step_state, Number(jnp.ones(())))
        if time.perf_counter() - began > 2 * seconds:
            break
    took = time.perf_counter() - began
    result = {}
    record = graph.get_record()
    for name in names:
        kept = record.nodes[name].steps
        start = np.asarray(kept.ts_start)
        count = int((np.asarray(kept.seq) >= 0).sum())
        late = lateness(start[:count], rate) * 1e3
        result[name] = {
            "steps": count,
            "seconds": took,
            "calls": CALLS[name],
            "late": np.percentile(late, [50, 99, 100]).tolist(),
        }
    print(json.dumps(result), flush=True)
    # Stopping may hang while the supervisor still waits, and nothing is left to save.
    os._exit(0)


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
