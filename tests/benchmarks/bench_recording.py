"""An hour of four nodes at 1 kHz: recorded by the program, drawn, read and planned, beside the stepper's recording.

    python -m tests.benchmarks.bench_recording [--seconds 3600] [--stepper 3]

The pendulum with all rates and delays twenty times as fast. `rex record` simulates the timeline, runs the program,
writes the recording and draws the pictures; `rex compile from=` reads the timeline, plans it and draws what it made.
Each is a process of its own, start of Python included; memory is its peak. The stepper records a few seconds of it.

Seen on two cores, 2026-11-25, nothing else running, 3,600,000 supervisor steps:

| what | seconds | memory |
| --- | --- | --- |
| `rex record`, whole command | 49.3 | 2.5 GiB |
| of it, run and write (124,000 steps/s) | 29.0 | |
| `rex compile from=`, whole command | 16.5 | 2.4 GiB |
| of it, timeline read | 0.4 | |
| of it, plan | 6.8 | |

A row of the program takes 7 us here. What the nodes sent and became goes through its loop as one array a type: with an
array for each it took 7.8. Pictures read the file in one pass; they read it once for each quantity before, and the
whole command took 94 s and 3.6 GB. A template that fits the beginning of a long timeline is tried on all of it, and a
plan's tables are made in pieces: planning took 12 s and 4.3 GB before.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FASTER = 20
DELAYS = {
    "nodes.sensor": (0.0075, 0.003),
    "nodes.agent": (0.01, 0.003),
    "nodes.actuator": (0.0075, 0.003),
    "edges.world_sensor": (0.01, 0.002),
    "edges.sensor_agent": (0.002, 0.002),
    "edges.agent_actuator": (0.002, 0.002),
    "edges.actuator_world": (0.01, 0.002),
}
"""Of `conf/pendulum.yaml`: mean and standard deviation, s."""


def overrides() -> list[str]:
    words = [f"nodes.{name}.rate={50 * FASTER}" for name in ("world", "sensor", "actuator", "agent")]
    for where, (mean, deviation) in DELAYS.items():
        words += [f"{where}.delay.loc={mean / FASTER}", f"{where}.delay.scale={deviation / FASTER}"]
    return words


def run(project: Path, *words: str) -> tuple[float, float, dict[str, Any]]:
    """Seconds and peak memory (GiB) of a command, and what its `run.json` says came of it."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, "
        "stderr=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    before = set(project.glob("outputs/*/*/*/run.json"))
    began = time.perf_counter()
    command = [sys.executable, "-c", code, sys.executable, "-m", "rexcli", *words, *overrides()]
    done = subprocess.run(command, cwd=project, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    (made,) = set(project.glob("outputs/*/*/*/run.json")) - before
    scale = 2**20 if sys.platform == "linux" else 2**30
    return seconds, int(done.stdout) / scale, json.loads(made.read_text())["results"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=3600, help="of the program's recording")
    parser.add_argument("--stepper", type=int, default=3, help="seconds of the stepper's")
    options = parser.parse_args()
    here = Path(__file__).parents[2]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        for name in ("conf", "nodes"):
            shutil.copytree(here / name, project / name)
        rate = 50 * FASTER
        steps = f"record.steps={options.seconds * rate}"
        seconds, memory, results = run(project, "record", steps, "record.executor=program")
        print(f"rex record, {options.seconds} s: {seconds:.1f} s, {memory:.2f} GiB")
        print(f"  run and write: {results['wall s']:.1f} s, {results['steps/s']:,.0f} steps/s")
        seconds, memory, planned = run(project, "compile", "from=latest:record")
        print(f"rex compile from=: {seconds:.1f} s, {memory:.2f} GiB")
        print(f"  timeline {planned['timeline s']:.1f} s, plan {planned['plan s']:.1f} s")
        _, _, slow = run(project, "record", f"record.steps={options.stepper * rate}", "record.executor=stepper")
        print(f"stepper, {options.stepper} s: {slow['wall s']:.1f} s, {slow['steps/s']:,.0f} steps/s")


if __name__ == "__main__":
    main()
