"""How fast `rex-lib` builds and rolls out its pendulum, for `bench_rollouts --peer` and `bench_compile --peer`.

    PYTHON peer_rollouts.py NUM

Runs in an interpreter that has `rex-lib` 0.0.12. Prints the seconds that it takes to build the graph from a record of
300 steps, those of XLA's compilation, and the steps per second of NUM rollouts; with NUM 0 the first alone.
"""

from __future__ import annotations

import os
import sys
import time

import jax
from distrax import Normal
from rex.asynchronous import AsyncGraph
from rex.constants import Clock, RealTimeFactor
from rex.examples import pendulum
from rex.graph import Graph

STEPS = 300


def main(num: int) -> None:
    slow, quick, far = Normal(0.01, 0.003), Normal(0.002, 0.002), Normal(0.01, 0.002)
    near = Normal(0.0075, 0.003)
    world = pendulum.OdeWorld(name="world", rate=50, order=0)
    sensor = pendulum.SimSensor(name="sensor", rate=50, order=1, delay_dist=near)
    actuator = pendulum.SimActuator(name="actuator", rate=50, order=2, delay_dist=near)
    agent = pendulum.Agent(name="agent", rate=50, order=3, delay_dist=slow)
    agent.connect(sensor, window=3, name="sensor", blocking=True, delay_dist=quick)
    actuator.connect(agent, window=1, name="agent", blocking=True, delay_dist=quick)
    world.connect(actuator, window=1, name="actuator", skip=True, delay_dist=far)
    sensor.connect(world, window=1, name="world", delay_dist=far)
    nodes = {node.name: node for node in (world, sensor, actuator, agent)}
    graph = AsyncGraph(nodes, agent, clock=Clock.SIMULATED, real_time_factor=RealTimeFactor.FAST_AS_POSSIBLE)
    state = graph.init(jax.random.PRNGKey(0), order=["agent"])
    graph.warmup(state, jit_step=True)
    state, seen = graph.reset(state)
    for _ in range(STEPS):
        state, seen = graph.step(state, seen, seen.params.to_output(jax.numpy.array([0.5])))
    graph.stop()
    recorded = graph.get_record().to_graph()
    began = time.perf_counter()
    compiled = Graph(nodes, agent, recorded, progress_bar=False)
    print("build", time.perf_counter() - began)
    if num:

        def rollout(key: jax.Array):
            begun = compiled.init(key, order=("agent",))
            begun = compiled.init_record(begun, params=False, state=True, output=False)
            return compiled.rollout(begun).aux["record"].nodes["world"].steps.state

        keys = jax.random.split(jax.random.PRNGKey(1), num)
        began = time.perf_counter()
        run = jax.jit(jax.vmap(rollout)).lower(keys).compile()
        print("xla", time.perf_counter() - began)
        best = float("inf")
        for _ in range(4):
            began = time.perf_counter()
            jax.block_until_ready(run(keys))
            best = min(best, time.perf_counter() - began)
        print("rate", num * compiled.max_steps / best)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
