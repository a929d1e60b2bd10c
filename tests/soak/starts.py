"""Whether starting and stopping the wall clock leaves anything behind: threads, processes, open files, memory.

    python -m tests.soak.starts [--cycles 1000] [--steps 5]

A cycle builds a sensor-agent-actuator chain, compiles it, starts a recording and the wall clock, makes some steps and
stops all of it. What the process holds is looked at after the first tenth of the cycles, and at the end. Wanted: the
same threads, processes and files, and memory that grows by less than 4 kB a cycle. The exit code says whether it is so.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from pathlib import Path

import jax

from rexcli.runs.recording import RecordingWriter
from rexcli.runtime.wall.wall_clock import WallClock
from rexcli.system.system import System
from tests.benchmarks.bench_wall_clock import HardwarePart, chain
from tests.soak.process_usage import ProcessUsage, names_of_threads, process_usage

ALLOWED = 4096
"""Bytes a cycle by which memory may grow."""
RATE = 200.0


def cycle(system: System, folder: Path, steps: int) -> None:
    """Starts the wall clock, makes some steps, stops it."""
    path = folder / "recording.mcap"
    with RecordingWriter(path, system.timing) as writer:
        WallClock(system, writer).run(jax.random.key(0), steps=steps).check()
    assert not writer.failed, writer.failed
    path.unlink()


def run(cycles: int, steps: int) -> list[tuple[int, ProcessUsage]]:
    """What is held after some of the cycles: their number, and what it was."""
    seen = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1, cycles + 1):
            cycle(chain(RATE, HardwarePart), Path(folder), steps)
            if number % max(1, cycles // 10) == 0:
                gc.collect()
                seen.append((number, process_usage()))
    return seen


def left_behind(seen: list[tuple[int, ProcessUsage]]) -> list[str]:
    """What there is more of at the end than after the first tenth, a line each."""
    (first_cycle, first), (last_cycle, last) = seen[0], seen[-1]
    lines = [
        f"{getattr(last, kind) - getattr(first, kind)} more {kind} than after {first_cycle} cycles"
        for kind in ("threads", "processes", "files")
        if getattr(last, kind) > getattr(first, kind)
    ]
    grown = (last.memory - first.memory) / (last_cycle - first_cycle)
    if grown > ALLOWED:
        lines.append(f"memory grows by {grown / 1024:.1f} kB a cycle")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=5, help="of the supervisor, a cycle")
    options = parser.parse_args()
    began = time.monotonic()
    seen = run(options.cycles, options.steps)
    print(f"{'cycles':>8}{'memory (MB)':>14}{'threads':>10}{'processes':>12}{'files':>8}")
    for number, each in seen:
        print(f"{number:>8}{each.memory / 2**20:>14.2f}{each.threads:>10}{each.processes:>12}{each.files:>8}")
    print(f"{time.monotonic() - began:.0f} s; threads: {', '.join(names_of_threads())}")
    lines = left_behind(seen)
    print("\n".join(lines) or "nothing was left behind")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
