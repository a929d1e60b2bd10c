"""One training over several devices and processes: steps/s, efficiency, and how far the numbers are apart.

    python -m tests.benchmarks.bench_devices [--steps 4e5] [--envs 512]

Strong scaling keeps the training as it is, weak scaling gives every device as much as one had. Seeds that have a device
each share nothing (`seeds`); the environments of one seed that lie on several devices meet at every gradient step
(`ppo.devices_per_seed`). Each row is a process of its own, or two, started one after another on the same machine; all
find their programs compiled, and steps/s are those between the first and the last evaluation. Two processes meet on
this machine (`distributed.coordinator`), each with one device.

Seen on two cores, 2026-11-27, nothing else running, 2e5 steps of a seed that has one device:

| what | steps/s | efficiency | first evaluation |
| --- | --- | --- | --- |
| 1 seed, 1 device | 59,500 | 1.00 | -849.352539 |
| 1 seed on 2 devices (strong) | 63,800 | 0.54 | -1007.658813 |
| 1 seed on 2 devices, twice the environments (weak) | 71,800 | 0.60 | -889.389832 |
| 2 seeds, 1 device | 65,800 | 1.00 | -1570.251709, -1454.983398 |
| 2 seeds, 2 devices | 100,600 | 0.76 | -1570.251709, -1454.983398 |
| 2 seeds, 2 processes | 75,600 | 0.57 | -1570.251709, -1454.983398 |

The first three are of the whole training, and with fewer evaluations than the others. Two cores are what one device has
too, for the threads of XLA: so efficiencies are low, and a seed's environments on several devices of a CPU are not
worth while. Seeds that share nothing have the same numbers, bit for bit, wherever they are; a seed on two devices draws
others. Between processes a gradient would be averaged over Gloo, which took 3 ms an average of 4,096 numbers on this
machine, 0.4 s an update of the pendulum's 128 gradient steps, so environments are not spread over processes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile

from tests.free_port import free_port

TRAIN = """
import json, sys
import rexcli as rex
from rexcli.compiler import backend
from rexcli.rl.distributed import join
from rexcli import pipeline
from rexcli.rl.train import train, train_worker
backend.prepare()
experiment = rex.compose("pendulum", *sys.argv[1:])
with join(experiment.distributed, experiment.ppo.num_seeds) as group:
    system = rex.build(experiment)
    task = rex.environment(experiment, system)
    program = rex.compile(experiment, system, rex.simulate(system, seed=0, episodes=10, steps=300))
    setup = pipeline.training_setup(experiment, program, task, group=group)
    if group.index:
        train_worker(setup)
    else:
        training = train(setup)
        group.leave()
        first, last = training.history[0], training.history[-1]
        print(json.dumps({
            "steps/s": experiment.ppo.num_seeds * (last.timesteps - first.timesteps) / (last.seconds - first.seconds),
            "returns": [float(each) for each in first.metrics["eval/return_mean"]],
        }))
"""


def measure(cache: str, devices: int, words: list[str], processes: int = 1) -> dict:
    """Trains in so many processes, each with so many devices; what process 0 saw."""
    env = {**os.environ, "JAX_NUM_CPU_DEVICES": str(devices), "JAX_COMPILATION_CACHE_DIR": cache}
    where = [f"distributed.coordinator=localhost:{free_port()}", f"distributed.processes={processes}"]
    given = [[*words, *where, f"distributed.process={n}"] if processes > 1 else words for n in range(processes)]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", TRAIN, *each], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for each in given
    ]
    ends = [process.communicate() for process in started]
    for process, (_, error) in zip(started, ends, strict=True):
        if process.returncode:
            raise SystemExit(error[-2000:])
    return json.loads(ends[0][0].strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", default="4e5", help="environment steps of a seed that has one device")
    parser.add_argument("--envs", type=int, default=512, help="environments of a seed that has one device")
    given = parser.parse_args()
    steps = int(float(given.steps))

    def settings(seeds: int = 1, shared: int = 1, weak: int = 1) -> list[str]:
        return [
            f"ppo.num_seeds={seeds}",
            f"ppo.devices_per_seed={shared}",
            f"ppo.num_envs={weak * given.envs}",
            f"ppo.total_timesteps={weak * steps}",
            "ppo.num_evals=2",
        ]

    rows = [
        ("1 seed, 1 device", 1, settings(), 1, 1),
        ("1 seed on 2 devices (strong)", 2, settings(shared=2), 1, 2),
        ("1 seed on 2 devices, twice the environments (weak)", 2, settings(shared=2, weak=2), 1, 2),
        ("2 seeds, 1 device", 1, settings(seeds=2), 1, 1),
        ("2 seeds, 2 devices", 2, settings(seeds=2), 1, 2),
        ("2 seeds, 2 processes", 1, settings(seeds=2), 2, 2),
    ]
    print("| what | steps/s | efficiency | first evaluation |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as cache:
        base = 0.0
        for what, devices, words, processes, workers in rows:
            measure(cache, devices, words, processes)
            seen = measure(cache, devices, words, processes)
            base = seen["steps/s"] if workers == 1 else base
            returns = ", ".join(f"{value:.6f}" for value in seen["returns"])
            print(
                f"| {what} | {seen['steps/s']:,.0f} | {seen['steps/s'] / workers / base:.2f} | {returns} |", flush=True
            )


if __name__ == "__main__":
    main()
