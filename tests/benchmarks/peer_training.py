"""The reference library's PPO on its own pendulum example; run by an interpreter that has it. Prints JSON.

    python peer_training.py STEPS [random]

`random`: train from random starts, and judge each policy by hold from random starts, which no time counts.
"""

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
    """A compiled graph of one recorded episode, and the agent's parameters."""
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
    graph = rex.graph.Graph(made, made["agent"], live.get_record().to_graph(), progress_bar=False)
    return graph, start.params["agent"]


def holds(graph, agent, policies):
    """By seed, the share of 1,000 episodes of 5 s from random starts whose whole last second is upright and still."""

    def episode(policy, key):
        params = {"agent": agent.replace(init_method="random", policy=policy)}
        state = graph.init(key, params=params, order=("agent",))
        state = graph.init_record(state, params=False, state=True, output=False)
        record = graph.rollout(state, carry_only=True, max_steps=5 * RATE).aux["record"].nodes["world"].steps
        return record.seq, record.state.th, record.state.thdot

    def one(policy):
        seq, th, speed = jax.vmap(functools.partial(episode, policy))(jax.random.split(jax.random.PRNGKey(7), 1000))
        return seq, (jnp.cos(th) > 0.95) & (jnp.abs(speed) < 0.5)

    found = []
    for seed in range(SEEDS):
        seq, good = jax.jit(one)(jax.tree_util.tree_map(lambda leaf, seed=seed: leaf[seed], policies))
        filled = int((seq[0] >= 0).sum())
        found.append(float(good[:, filled - RATE : filled].all(axis=1).mean()))
    return found


def main():
    began = time.perf_counter()
    graph, agent = recorded(nodes())
    env = SwingUpEnv(graph)
    random = "random" in sys.argv
    if random:
        env.set_params({"agent": agent.replace(init_method="random")})
    config = sweep_pmv2r1zf.replace(TOTAL_TIMESTEPS=float(sys.argv[1]))
    keys = jax.random.split(jax.random.PRNGKey(1), SEEDS)
    compiling = time.perf_counter()
    train = jax.jit(jax.vmap(functools.partial(rex.ppo.train, env), in_axes=(None, 0))).lower(config, keys).compile()
    training = time.perf_counter()
    result = jax.block_until_ready(train(config, keys))
    done = time.perf_counter()
    print(
        json.dumps(
            {
                "compile s": training - compiling,
                "train s": done - training,
                "steps/s": SEEDS * config.NUM_TIMESTEPS / (done - training),
                "whole s": done - began,
                **({"holds": holds(graph, agent, result.policy)} if random else {}),
            }
        )
    )


if __name__ == "__main__":
    main()
