"""How long the commands take that people type all day, in a folder of 1,000 runs.

    python -m tests.benchmarks.bench_commands [--runs 1000]

Each is a process of its own: the first of a few, which compiles what others find in the cache, the least, for other
work on the machine only adds to it, and the median. The CPU's seconds are without those of processes that draw. The
runs were made an hour apart.

Seen on two cores, 2026-11-28, nothing else running, median seconds, while importing the libraries took 1.49: `show` of
the pendulum 1.45, `record` of 100 steps 3.70, 5.16 the first time. Five times in turn with the version before other
processes drew the pictures, the second time: `show` 1.44 for 1.63, `record` 3.59 for 4.81.

There at a faster moment, nothing else running, while importing the libraries took 1.28: `show` 1.21, `record` 2.83,
and 3.95 the first time. Pictures of the system are drawn while it records, and examples do not import JAX where they
draw: five times in turn with the version before, `record` 2.69 for 3.27. Of the 2.7 s, 0.55 compose, 0.7 import JAX,
0.9 build, simulate and record (0.2 of them load 27 small programs from XLA's cache), and 0.55 draw what was recorded.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from rexcli.runs import formats
from rexcli.runs.rundir import Run

COMMANDS = (
    ["--help"],
    ["ls"],
    ["ls", "status=done", "hold>0.9", "since=2d", "--sort", "hold"],
    ["ls", "--json"],
    ["show", "latest"],
    ["diff", "latest", "latest:eval"],
    ["show", "conf=pendulum"],
    ["record", "conf=pendulum", "record.steps=100"],
)
IMPORTS = "import jax, flax, hydra, matplotlib.figure"
"""The libraries that `show` and `record` are built on, as a baseline; `show` draws nothing."""
TRIES = 7


def synthetic_runs(root: Path, count: int) -> None:
    """Trainings and evaluations with configurations, results and artifacts of the usual size."""
    config = (Path(__file__).parents[2] / "conf" / "pendulum.yaml").read_text()
    template = Run.create(root, "bench", "train", argv=["rex", "train"], seed=0, config_yaml=config)
    with template:
        template.write_arrays("timeline.npz", {})
    record = formats.decode_json((template.path / "run.json").read_bytes())
    artifact = record["artifacts"][0]
    record["artifacts"] = [{**artifact, "name": f"policies/0/{number}.npz"} for number in range(20)]
    for number in range(1, count):
        command = ("train", "eval")[number % 2]
        folder = root / "bench" / command / f"run_{number:04}"
        folder.mkdir(parents=True)
        results = {
            "steps": 2**20,
            "compile s": 12.5,
            "steps/s": 1e5 + number,
            "return of each seed": [-312.1, -290.5, -305.0, -288.2, -310.9],
            "hold": number % 100 / 100,
            "return mean": -500.0 + number,
            "return std": 12.0,
        }
        parents = [f"bench/train/run_{number - 1:04}"] if command == "eval" else []
        began = datetime.fromisoformat(record["started"]) - timedelta(hours=count - number)
        started = began.isoformat(timespec="milliseconds")
        run = {**record, "command": command, "started": started, "results": results, "parents": parents, "seed": number}
        (folder / "run.json").write_bytes(formats.encode_json(run))
        (folder / "config.yaml").write_text(config)
        os.utime(folder / "run.json", (began.timestamp() + 60, began.timestamp() + 60))


def measure(argv: list[str], folder: Path) -> tuple[list[float], list[float]]:
    """Seconds of each try, on the clock and of the CPU, user and system."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "80"}
    environment["XDG_CACHE_HOME"] = str(folder / "cache")
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    clock, cpu = [], []
    for _ in range(TRIES):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, *argv], cwd=folder, env=environment, check=True, capture_output=True)
        clock.append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return clock, cpu


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        synthetic_runs(Path(folder) / "outputs", runs)
        print("first, least and median seconds, median of the CPU's")
        for argv in (["-c", IMPORTS], *(["-m", "rexcli", *words] for words in COMMANDS)):
            clock, cpu = measure(argv, Path(folder))
            figures = f"{clock[0]:.2f} {min(clock):.2f} {statistics.median(clock):.2f} {statistics.median(cpu):.2f}"
            print(f"{figures}  {' '.join(argv).replace('-m rexcli', 'rex')}", flush=True)


if __name__ == "__main__":
    main()
