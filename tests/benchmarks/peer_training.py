"""The reference library's PPO on its own pendulum example; run by an interpreter that has it. Prints JSON."""

import functools
import json
import sys
import time

import jax
import jax.numpy as jnp
import rex.examples.pendulum as pendulum
import rex.graph
import rex.ppo
from distrax import Normal
from rex.asynchronous import AsyncGraph
from rex.constants import Clock, RealTimeFactor
from rex.examples.pendulum.rl import SwingUpEnv, sweep_pmv2r1zf

RATE, STEPS, SEEDS = 50, 300, 5


def nodes():
    """The four nodes of its tutorial, connected."""
    made = {
        "world": pendulum.OdeWorld(name="world", rate=RATE),
        "sensor": pendulum.SimSensor(name="sensor", rate=RATE, delay_dist=Normal(0.0075, 0.003)),
        "agent": pendulum.Agent(name="agent", rate=RATE, delay_dist=Normal(0.01, 0.003)),
        "actuator": pendulum.SimActuator(name="actuator", rate=RATE, delay_dist=Normal(0.0075, 0.003)),
    }
    links = [
        ("sensor", "agent", {"window": 3, "blocking": True}, Normal(0.002, 0.002)),
        ("agent", "actuator", {"window": 1, "blocking": True}, Normal(0.002, 0.002)),
        ("actuator", "world", {"window": 1, "blocking": False, "skip": True}, Normal(0.01, 0.002)),
        ("world", "sensor", {"window": 1, "blocking": False}, Normal(0.01, 0.002)),
    ]
    for source, target, options, delay in links:
        made[target].connect(output_node=made[source], name=source, delay_dist=delay, **options)
    return made


def recorded(made):
    """A compiled graph of one recorded episode."""
    live = AsyncGraph(
        nodes=made,
        supervisor=made["agent"],
        clock=Clock.SIMULATED,
        real_time_factor=RealTimeFactor.FAST_AS_POSSIBLE,
    )
    start = live.init(rng=jax.random.PRNGKey(0), order=["agent"])
    live.set_record_settings(params=True, inputs=False, state=True, output=True)
    live.warmup(start, jit_step=True)
    state, seen = live.reset(start)
    for _ in range(STEPS):
        state, seen = live.step(state, seen, seen.params.to_output(jnp.array([0.5])))
    live.stop()
    return rex.graph.Graph(made, made["agent"], live.get_record().to_graph(), progress_bar=False)


def main():
    began = time.perf_counter()
    env = SwingUpEnv(recorded(nodes()))
    config = sweep_pmv2r1zf.replace(TOTAL_TIMESTEPS=float(sys.argv[1]))
    keys = jax.random.split(jax.random.PRNGKey(1), SEEDS)
    compiling = time.perf_counter()
    train = jax.jit(jax.vmap(functools.partial(rex.ppo.train, env), in_axes=(None, 0))).lower(config, keys).compile()
    training = time.perf_counter()
    jax.block_until_ready(train(config, keys).metrics)
    done = time.perf_counter()
    print(
        json.dumps(
            {
                "compile s": training - compiling,
                "train s": done - training,
                "steps/s": SEEDS * config.NUM_TIMESTEPS / (done - training),
                "whole s": done - began,
            }
        )
    )


if __name__ == "__main__":
    main()
