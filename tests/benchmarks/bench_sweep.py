"""A sweep over learning rates: its jobs side by side in one program, beside one after another and a process a core.

    python -m tests.benchmarks.bench_sweep [--jobs 8] [--steps 1e5] [--ways alone,basic,joblib,vmap]

Trainings of the pendulum with two seeds: `rex train -m conf=pendulum ppo.lr=… launcher=…`, whole commands, each from an
empty compilation cache. `alone` is a command a job, one after another: of these the first and the second are run, the
second in the cache that the first has filled, and stands for those behind it. `joblib` needs the extra of that name.

Seen on two cores, 2026-11-28, nothing else running: eight jobs alone 113.5 s and 137.9 s of CPU (by the first two),
`vmap` 48.5 s and 80.0 s: 0.43 of the time. Earlier on that day, before trainings compiled faster and jobs shared the
compiled rollouts that they are drawn from: alone 133.9 s, `basic` 115.8 s (0.87), `joblib` 99.7 s (0.74), `vmap` 68.2 s
(0.51).
Later, on a slower machine of which others took a little: alone 120.1 s, `vmap` 58.0 s (0.48). With pictures of
single commands drawn by other processes, too, nothing else running: alone 112.8 s and 109.0 s, `vmap` 46.3 s and 46.8 s
(0.41 and 0.43), and 45.3 s and 46.2 s when it was run alone. With a picture of the system drawn once for all jobs:
alone 96.2 s, 96.0 s, 98.3 s and 99.3 s, `vmap` 39.1 s to 39.4 s (0.40 to 0.41). In its last seconds `vmap` evaluates
job after job and waits for pictures, which take both cores. With the drawing processes started at the first of these
evaluations: alone 96.6 s and 93.8 s, `vmap` 38.4 s and 37.6 s (0.40 and 0.40).

Seen on 2026-11-27, with four or five other processes at work, so that each command had less than half of
what it takes: eight jobs alone 1,714 s and 436 s of CPU (by the first two), `vmap` 574 s and 245 s of CPU: 0.33 of the
time, 0.56 of the CPU's. Of the latter a job more takes about 20 s, drawing half of them, then training and evaluation.
Metrics, policies and results of three such jobs were those of `launcher=basic` to the last bit (191 s of CPU, and 138
with `vmap`). `basic` and `joblib` were not timed with eight.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def command(folder: Path, steps: int, *words: str) -> np.ndarray:
    """Wall clock and CPU seconds of one command, with its compilations in `folder`."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    small = ["conf=pendulum", f"ppo.total_timesteps={steps}", "ppo.num_seeds=2", "ppo.num_evals=2"]
    argv = [sys.executable, "-m", "rexcli", "train", *small, f"hydra.sweep.dir={folder}/sweep", *words]
    began, before = time.perf_counter(), _cpu_seconds()
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return np.array([time.perf_counter() - began, _cpu_seconds() - before])


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def alone(rates: Sequence[str], steps: int) -> np.ndarray:
    """A command a rate, one after another, by what the first two take."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = (command(Path(folder), steps, "-m", f"ppo.lr={rate}") for rate in rates[:2])
    return np.asarray(first + (len(rates) - 1) * second)


def sweep(rates: Sequence[str], steps: int, launcher: str) -> np.ndarray:
    """One command for all."""
    with tempfile.TemporaryDirectory() as folder:
        return command(Path(folder), steps, "-m", f"ppo.lr={','.join(rates)}", f"launcher={launcher}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=8, help="learning rates, from 1e-4 to 1e-3")
    parser.add_argument("--steps", default="1e5", help="environment steps a seed")
    parser.add_argument("--ways", default="alone,basic,vmap", help="of alone, basic, joblib, vmap")
    given = parser.parse_args()
    rates, steps = [f"{rate:.3g}" for rate in np.geomspace(1e-4, 1e-3, given.jobs)], int(float(given.steps))
    first: np.ndarray | None = None
    for way in given.ways.split(","):
        took = alone(rates, steps) if way == "alone" else sweep(rates, steps, way)
        first = took if first is None else first
        wall, cpu = took / first
        print(f"{way:8} {took[0]:7.1f} s, {wall:.2f}   of CPU {took[1]:7.1f} s, {cpu:.2f}", flush=True)


if __name__ == "__main__":
    main()
