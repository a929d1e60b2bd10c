"""A platoon of 4, 16, 64 and 256 vehicles, each 60 ms behind the one ahead: what it takes until it runs, and how fast.

    python -m tests.benchmarks.bench_many_nodes [--num 4 16 64 256] [--rollouts 10] [--whole]

Each size runs in a process of its own, twice: with the vehicles' steps run as one (`rexcli.compiler.identical_nodes`),
and each by itself, as before. Seconds are those of the CPU, all threads together, so that what else runs counts little.
`--whole` times the command `rex rollout` with 64 vehicles, pictures and all.

Seen on two cores, 2026-11-28, little else running, seconds of CPU:

| vehicles | steps | simulate | plan | tables | trace | XLA | steps/s | MiB |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
| 4 | as one | 2.18 | 0.01 | 0.07 | 0.38 | 0.85 | 2,995,614 | 372 |
| 4 | each | 2.14 | 0.01 | 0.07 | 0.37 | 0.83 | 3,019,059 | 369 |
| 16 | as one | 2.26 | 0.02 | 0.08 | 0.51 | 0.85 | 2,718,086 | 379 |
| 16 | each | 2.19 | 0.02 | 0.09 | 0.83 | 2.37 | 928,251 | 478 |
| 64 | as one | 3.98 | 0.18 | 0.16 | 0.96 | 1.03 | 1,781,356 | 444 |
| 64 | each | 4.00 | 0.17 | 0.17 | 2.70 | 9.82 | 175,393 | 1,080 |
| 256 | as one | 4.78 | 2.34 | 0.59 | 2.61 | 1.25 | 758,783 | 576 |
| 256 | each | 4.79 | 2.43 | 0.54 | 9.33 | 40.51 | 40,222 | 2,762 |

`rex rollout` of 64 vehicles, whole, by the clock: 8.4 s and 9.4 s where nothing was in XLA's cache, 6.2 to 6.6 s where
it was, and 4.9 to 5.0 s since pictures are drawn beside the computation, and a plan looks at each kind of change of a
node's inputs once. `rollout conf=platoon nodes.car.replicas=64 rollout.num=64`, which has a coordinator, random delays
and 400 steps, took 15.6 s and takes 13.0 s, of which the plan 2.0 (it was 2.9), tracing and XLA 3.4, and writing 180 MB
1.7.

At first the vehicles' states lay apart between steps: then XLA took 13.7 s with 64 of them (822 fusions, 76 now), and
rollouts made 82,700 steps/s. To pack what the loop keeps into few arrays, as recordings do, made XLA take half as long
again. 'simulate' is nearly all the compilation of the gamma distribution's sampler. To draw the delays of all vehicles
at once gives the same numbers, but takes longer to compile than it saves.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONF = """
defaults: [base, _self_]
name: platoon
supervisor: lead
nodes:
  lead: {_target_: nodes.platoon.Car, rate: 20}
  car:
    _target_: nodes.platoon.Car
    replicas: 16
    rate: 20
    delay: {_target_: rexcli.Gamma, concentration: 2.0, rate: 900.0}
edges:
  start: {from: lead, to: car_0, name: ahead}
  radio: {from: car, to: car, connect: 1, name: ahead, window: 2, delay: 0.06}
  status: {from: car, to: lead, skip: true}
"""

NODES = """
import jax.numpy as jnp
from rexcli import Node


class Car(Node):
    def init_state(self, rng, graph_state):
        return jnp.zeros(2)

    def init_output(self, rng, graph_state):
        return jnp.zeros(2)

    def step(self, step_state):
        place, speed = step_state.state
        wanted = speed
        for window in step_state.inputs.values():
            wanted = wanted + 0.1 * (window[-1].data[1] - speed)
        state = jnp.array([place + wanted * step_state.dt, jnp.tanh(wanted) + 0.1])
        return step_state.replace(state=state), state
"""

STEPS = 300


def project(folder: Path) -> None:
    """Writes the platoon's project."""
    for name, text in (("conf/platoon.yaml", CONF), ("nodes/platoon.py", NODES), ("nodes/__init__.py", "")):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text.lstrip())


def measure(num: int, rollouts: int, alone: bool) -> dict[str, float]:
    """CPU seconds of each stage, and what it made, in this process."""
    import jax

    import rexcli as rex
    from rexcli import pipeline
    from rexcli.compiler import identical_nodes

    if alone:
        identical_nodes.FEWEST = 10**9
    jax.config.update("jax_enable_compilation_cache", False)
    found: dict[str, float] = {}

    def lap(name: str) -> None:
        nonlocal began
        found[name], began = time.process_time() - began, time.process_time()

    experiment = rex.compose("platoon", f"nodes.car.replicas={num}")
    began = time.process_time()
    system = rex.build(experiment)
    timeline = rex.simulate(system, episodes=10, steps=STEPS)
    lap("simulate")
    plan = pipeline.plan_for(experiment, timeline)
    lap("plan")
    program = pipeline.compile(experiment, system, timeline, plan)
    lap("tables")

    def one(program, key):
        return program.reset_and_rollout(program.init(key), STEPS)

    keys = jax.random.split(jax.random.key(0), rollouts)
    lowered = jax.jit(jax.vmap(one, (None, 0))).trace(program, keys).lower()
    lap("trace")
    compiled = lowered.compile()
    lap("XLA")
    jax.block_until_ready(compiled(program, keys))
    times = []
    for _ in range(5):
        start = time.perf_counter()
        jax.block_until_ready(compiled(program, keys))
        times.append(time.perf_counter() - start)
    found["steps/s"] = rollouts * STEPS / min(times)
    found["MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--num", type=int, nargs="+", default=[4, 16, 64, 256])
    parser.add_argument("--rollouts", type=int, default=10)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--here", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here is not None:
        print(json.dumps(measure(given.here, given.rollouts, given.alone)))
        return
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    with tempfile.TemporaryDirectory() as name:
        project(Path(name))
        if given.whole:
            began = time.perf_counter()
            command = [sys.executable, "-m", "rexcli", "rollout", "conf=platoon", "nodes.car.replicas=64", "--quiet"]
            subprocess.run([*command, "rollout.num=100"], cwd=name, env=environment, check=True)
            children = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = children.ru_utime + children.ru_stime
            print(f"rex rollout, 64 vehicles: {time.perf_counter() - began:.1f} s, {cpu:.1f} s of CPU")
            return
        for num in given.num:
            for more in ([], ["--alone"]):
                command = [sys.executable, "-m", "tests.benchmarks.bench_many_nodes", "--here", str(num), *more]
                command += ["--rollouts", str(given.rollouts)]
                path = {**environment, "PYTHONPATH": f"{name}:{root}"}
                done = subprocess.run(command, cwd=name, env=path, check=True, capture_output=True, text=True)
                found = json.loads(done.stdout.splitlines()[-1])
                cells = [f"{value:,.0f}" if value > 100 else f"{value:.2f}" for value in found.values()]
                if num == given.num[0] and not more:
                    print(" | ".join(["| vehicles", "steps", *found]), "|")
                print(" | ".join([f"| {num}", "each" if more else "as one", *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
