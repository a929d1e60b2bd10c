"""A policy that remembers (GRU) against one that sees four ticks at once, against one that sees a single tick.

    python -m tests.benchmarks.bench_memory_policies [--steps 1e6] [--seeds 10]

The cart-pole (`conf/cartpole.yaml`), whose detector takes a random time between 0 and 120 ms for each frame, and an
agent that sees no more than the newest frame (positions, no velocities, and how old they are) and the last force that
it asked for. All have the same settings and as many environment steps; each seed's best policy is judged on delays that
no training has met. Shown are means over the seeds with 95 % intervals (Student's t).
"""

from __future__ import annotations

import argparse

import jax
import numpy as np
from scipy import stats

import rexcli as rex

RANDOM_DELAYS = (
    "edges.camera_agent.delay={_target_: distrax.Uniform, low: 0.0, high: 0.12}",
    "edges.camera_agent.window=1",
    "nodes.agent.action_history=1",
)
VARIANTS = {
    "none": (),
    "stack of 4": ("observation.history=4",),
    "GRU": ("ppo.memory=gru",),
}


def interval(values: np.ndarray) -> str:
    """The mean with its 95 % interval."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.3f} ± {half:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", default="1e6", help="environment steps a seed")
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    sizes = (f"ppo.num_seeds={given.seeds}", f"ppo.total_timesteps={int(float(given.steps))}", "eval.episodes=200")
    print("| memory | return | balanced | steps/s |\n| --- | --- | --- | --- |")
    for name, overrides in VARIANTS.items():
        experiment = rex.compose("cartpole", *RANDOM_DELAYS, *sizes, *overrides)
        system = rex.build(experiment)
        task = rex.environment(experiment, system)
        timeline, _ = rex.pipeline.timeline_for(experiment, system, task=task)
        program = rex.compile(experiment, system, timeline, task=task)
        training = rex.train(experiment, program, task)
        fresh = rex.pipeline.evaluation_program(experiment, program, task)
        judged = [rex.evaluate(experiment, fresh, task, policy) for policy in training.policies]
        columns = [each.returns.mean() for each in judged], [each.summary["balanced"].mean() for each in judged]
        cells = " | ".join(interval(np.array(column)) for column in columns)
        print(f"| {name} | {cells} | {training.steps_per_second:,.0f} |", flush=True)
        jax.clear_caches()


if __name__ == "__main__":
    main()
