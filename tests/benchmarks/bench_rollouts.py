"""Rollouts of the pendulum, 10,000 x 300 steps, beside a loop written by hand for it alone.

    python -m tests.benchmarks.bench_rollouts [--num 10000] [--repeats 7] [--peer PYTHON]

The loop knows no delays, no messages and no other nodes: one batched `lax.scan` over the world's own equations, a
random voltage each step, the world's states kept. Ours keeps the same of the whole system: world, sensor, actuator,
agent and their delays. Runs take turns, and the shortest time of each counts. `--peer` names an interpreter that has
`rex-lib`.

Seen on two cores, 2026-11-22, nothing else running, steps/s and share of the loop with a random voltage:

| what | steps/s | of the loop |
| --- | --- | --- |
| by hand, random voltage | 14,100,000 | 1.00 |
| by hand, constant voltage | 14,400,000 | 1.02 |
| ours, one device | 14,900,000 | 1.06 |
| ours, one device, `mask` | 13,100,000 | 0.93 |
| ours, two devices | 32,500,000 | 2.31 |
| ours, 16 episodes, one device | 12,000,000 | 0.85 |
| ours, 16 episodes, one device, `mask` | 6,700,000 | 0.48 |
| rex-lib 0.0.12 | 1,370,000 | 0.10 |

At load 3.2 the loop made 7,070,000, ours 11,300,000 on one device: it waits less for memory.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")

import jax
import jax.numpy as jnp

from nodes.pendulum.world import Params, integrate, swing_up_cost
from rexcli import pipeline
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.compiler.rollouts import compile_rollouts
from rexcli.compiler.slots import Skip

STEPS = 300
KEEP: dict[str, tuple[str, ...]] = {"world": ("state",)}


def by_hand(num: int, random: bool = True) -> Callable[[jax.Array], Any]:
    """The pendulum as a loop over `[num]` arrays: angle, speed and cost of every step."""
    params, dt = Params(), 0.01

    def run(key: jax.Array) -> Any:
        start_key, key = jax.random.split(key)
        start = jax.random.uniform(start_key, (2, num), minval=-1.0)

        def step(carry: Any, key: jax.Array) -> Any:
            th, thd, cost = carry
            voltage = jax.random.uniform(key, (num,), minval=-2.0, maxval=2.0) if random else jnp.full(num, 0.5)
            for _ in range(2):
                th, thd = integrate(params, th, thd, voltage, dt)
            cost = cost + swing_up_cost(th, thd, voltage)
            return (th, thd, cost), (th, thd, cost)

        carry = (start[0] * jnp.pi, start[1] * 9.0, jnp.zeros(num))
        return jax.lax.scan(step, carry, jax.random.split(key, STEPS))[1]

    return jax.jit(run)


def pendulum(episodes: int, skip: Skip = "cond", observed: tuple[str, ...] = ()) -> Program:
    experiment = pipeline.compose("pendulum", f"timeline.episodes={episodes}", f"timeline.steps={STEPS}")
    system = pipeline.build(experiment)
    timeline, _ = pipeline.timeline_for(experiment, system)
    return Program(system, make_plan(timeline, observed=observed), skip)


def take_turns(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """The shortest time of each, s; all of them once, then all of them again, so that load hits them alike."""
    best = dict.fromkeys(runs, float("inf"))
    for run in runs.values():
        jax.block_until_ready(run())
    for _ in range(repeats):
        for name, run in runs.items():
            began = time.perf_counter()
            jax.block_until_ready(run())
            best[name] = min(best[name], time.perf_counter() - began)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--num", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--peer", help="interpreter that has rex-lib")
    options = parser.parse_args()
    num, key, one = options.num, jax.random.key(0), jax.devices()[:1]

    def ours(
        episodes: int, devices: list[jax.Device], skip: Skip = "cond", observed: tuple[str, ...] = ()
    ) -> Callable[[], Any]:
        compiled = compile_rollouts(pendulum(episodes, skip, observed), key, num, keep=KEEP, devices=devices)
        return lambda: compiled.batches(key)

    loop, constant = by_hand(num), by_hand(num, random=False)
    runs: dict[str, Callable[[], Any]] = {
        "by hand, random voltage": lambda: loop(key),
        "by hand, constant voltage": lambda: constant(key),
        "one device": ours(1, one),
        "one device, mask": ours(1, one, "mask"),
        "one device, for the task": ours(1, one, observed=("world",)),
        "one device, for the task, mask": ours(1, one, "mask", observed=("world",)),
        f"{len(jax.devices())} devices": ours(1, jax.devices()),
        "16 episodes, one device": ours(16, one),
        "16 episodes, one device, mask": ours(16, one, "mask"),
    }
    seconds = take_turns(runs, options.repeats)
    bound = seconds["by hand, random voltage"]
    print(f"{num} x {STEPS} steps, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'':<32}{'steps/s':>14}{'of the loop by hand':>22}")
    for name, taken in seconds.items():
        print(f"{name:<32}{num * STEPS / taken:>14,.0f}{bound / taken:>22.2f}")
    if options.peer:
        script = Path(__file__).with_name("peer_rollouts.py")
        done = subprocess.run([options.peer, script, str(num)], capture_output=True, text=True, timeout=900, check=True)
        rate = float(done.stdout.split()[-1])
        ratio = num * STEPS / seconds["one device"] / rate
        print(f"{'rex-lib':<32}{rate:>14,.0f}   ours on one device is {ratio:.1f} times as fast")


if __name__ == "__main__":
    main()
