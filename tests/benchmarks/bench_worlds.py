"""Both engines of a world from a model file: how long MJX takes to compile, how fast each is, and how far they part.

    python -m tests.benchmarks.bench_worlds [--model nodes/arm/arm.xml] [--batches 1 128 1024] [--substeps 4]

A step is one of the node, of so many sub-steps, sensors included, with a constant control. The compilation is that of
one step alone, with a parameter on which the mass matrix depends; programs hold several copies of it. What the engines
part by is the largest difference of a position after each of 50 steps from the same start.

Seen on two cores, 2026-11-27, shared with a dozen other programs (load 10):

| what | compiled in (s) | steps/s |
| --- | --- | --- |
| MuJoCo, one at a time | - | 2,129 |
| MJX, 1 at a time | 55.0 | 1,528 |
| MJX, 128 at a time | 53.8 | 13,034 |
| MJX, 1024 at a time | 62.5 | 19,205 |

After 50 steps they are at most 1.5e-07 apart. Where less ran beside it, one step compiled in 6 s. `rex train conf=arm
ppo.total_timesteps=3_000_000` compiled in 313 s and 559 s of such shared time (150 s of CPU), and then made 8,000 to
12,000 steps/s; the hand was held within 5 cm of its goal in 0.6 of 20 episodes after one million steps, in 0.9 after
1.5 and in 0.95 after three. Of 4 s that MuJoCo recorded with random torques, a load of 0.45 kg and a friction of 0.5,
`rex identify` with MJX found 0.4500 (0.4499 to 0.4501) and 0.5001 (0.5000 to 0.5002), in 204 s (49 s of CPU).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.worlds.engines import CEngine, MjxEngine, Physics
from rexcli.worlds.model import Model, find
from rexcli.worlds.quantities import parameter


def start_of(model: Model) -> tuple[Physics, np.ndarray]:
    """Where it begins, and its controls: a tenth of what they may be."""
    mj = model.mj
    zeros = [np.zeros(size, np.float32) for size in (mj.nv, mj.na, mj.nv)]
    ctrl = np.where(mj.actuator_ctrllimited, 0.1 * mj.actuator_ctrlrange[:, 1], 0.1).astype(np.float32)
    return Physics(mj.qpos0.astype(np.float32), *zeros), ctrl


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="nodes/arm/arm.xml")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 128, 1024])
    parser.add_argument("--substeps", type=int, default=4)
    options = parser.parse_args()
    model = Model(find(options.model, Path.cwd()))
    mass = parameter(model, "mass", [f"body_mass.{model.names('body')[-1]}"], "mass")
    values, (start, ctrl), substeps = [mass.value], start_of(model), options.substeps
    own, mjx = CEngine(model, [mass]), MjxEngine(model, [mass])

    def measured(call, steps: int) -> float:
        now = start
        began = time.perf_counter()
        for _ in range(steps):
            now, _ = call(now)
        jax.block_until_ready(now)
        return steps / (time.perf_counter() - began)

    print("| what | compiled in (s) | steps/s |\n| --- | --- | --- |")
    print(
        f"| MuJoCo, one at a time | - | {measured(lambda now: own.step(values, now, ctrl, 0.0, substeps), 1000):,.0f} |"
    )
    single = None
    for size in options.batches:
        batch = jax.tree.map(lambda leaf, size=size: jnp.broadcast_to(leaf, (size, *leaf.shape)), start)
        step = jax.jit(jax.vmap(lambda now: mjx.step(values, now, ctrl, 0.0, substeps=substeps)))
        began = time.perf_counter()
        compiled = step.lower(batch).compile()
        took = time.perf_counter() - began
        single = single or (compiled, batch)
        compiled(batch)
        steps = max(5, 2000 // size)
        began, now = time.perf_counter(), batch
        for _ in range(steps):
            now, _ = compiled(now)
        jax.block_until_ready(now)
        print(f"| MJX, {size} at a time | {took:.1f} | {size * steps / (time.perf_counter() - began):,.0f} |")
    assert single is not None
    compiled, now = single
    other, apart = start, 0.0
    for _ in range(50):
        now, _ = compiled(now)
        other, _ = own.step(values, other, ctrl, 0.0, substeps)
        apart = max(apart, float(np.abs(np.asarray(now.qpos)[0] - other.qpos).max()))
    print(f"\nAfter 50 steps they are at most {apart:.1e} apart.")


if __name__ == "__main__":
    main()
