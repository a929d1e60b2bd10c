"""Whether the wall clock can run for hours: memory over time, and the ticks that it lost beside those of a bare loop.

    python -m tests.soak.wall_clock [--seconds 3600] [--rate 500] [--nodes 10] [--priority 10]
                                    [--thread shared|auto] [--scheduling phase|frequency]

Sensors, an agent and actuators run on the wall clock and are recorded: the first sensor and the last actuator are plain
Python, all others are jitted. They share a thread, or with `--thread auto` the plain ones have threads of their own;
who is late catches up with its clock, or with `--scheduling frequency` keeps its spacing, so that what is lost stays
lost. At the same time runs `bare_wall_clock`, which waits in the same way and does nothing else: what it loses, the
machine takes from everybody. Memory is that of the process with the nodes and of the process that writes the recording.
Wanted: neither grows by 1 MB after the first minute, and no node loses a tick that the bare loop keeps. The exit code
says whether memory stayed, and the clock ran to its end.

Seen on two cores of a virtual machine, 2026-11-28, an hour at 500 Hz while others trained and tested beside it: of
1,800,000 ticks neither a node nor the bare loop lost one; p99 0.08 to 0.38 ms, and more than a period late were 167 to
868 ticks of each node and 835 of the bare loop. The nodes' process grew by 0.52 MB after the first minute, the
recording's by 1.78 MB, of which 1.2 MB in one step: memory of large arrays that the C library kept. It gives them back
since (see `rexcli.runs.recording.process`); the hour was not repeated with that.

Seen on 2026-11-27, an hour at 500 Hz while others trained and tested beside it (load 3
to 8): of 1,800,000 ticks neither a node nor the bare loop lost one. More than a period late were 687 to 2,504 ticks of
each node and 2,928 of the bare loop, for the machine itself stood still for up to 31 ms; p50 0.01 to 0.37 ms, p99 0.8
to 1.1 ms. The nodes' process grew by 0.07 MB after the first minute, the recording's by 10 MB, which were the entries
of the file's summary; they are no longer held in memory.

With `--scheduling frequency` 5 to 8 of 6,000 ticks are lost in 12 s at load 3, the bare loop none: a tick takes 1.3 ms
of its 2 ms (two calls of several nodes' steps, one of the agent, two of plain Python), so a pause of 0.7 ms shifts all
that follow. With `--thread auto` 100 to 340 of 7,500 in 15 s: threads wait for one another at the interpreter, 200,000
changes of threads instead of 25,000.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax

from rexcli.config.schema import WallSettings
from rexcli.runs.recording import RecordingWriter, read_recording
from rexcli.runtime.wall.episode import Episode
from rexcli.runtime.wall.session import Outcome
from rexcli.runtime.wall.wall_clock import WallClock
from rexcli.system.delays import Constant
from rexcli.system.init import init_graph_state
from rexcli.system.spec import Edge, NodeSpec, Thread
from rexcli.system.system import System
from rexcli.timeline.spec import Scheduling
from tests.benchmarks.bench_wall_clock import HardwarePart, Part
from tests.soak.process_usage import MB, children, memory

SETTLED = 60.0
"""Seconds after which memory may grow no more."""
ALLOWED = 1.0
"""MB by which it may, all the same."""


def robot(nodes: int, rate: float, thread: Thread = "shared", scheduling: Scheduling = "phase") -> System:
    """Half of the nodes sense, one acts, the others are moved; each expects to take 0.1 ms."""
    sensors = [f"sensor{number}" for number in range(nodes // 2)]
    actuators = [f"actuator{number}" for number in range(nodes - 1 - len(sensors))]
    parts = {name: Part() for name in (*sensors, "agent", *actuators)}
    parts |= {sensors[0]: HardwarePart(), actuators[-1]: HardwarePart()}
    options: dict[str, Any] = {"delay": Constant(1e-4), "thread": thread, "scheduling": scheduling}
    specs = [(NodeSpec(name, rate, **options), part) for name, part in parts.items()]
    edges = [Edge(f"{name}_agent", name, "agent", name, blocking=True, expected_delay=1e-4) for name in sensors]
    edges += [Edge(f"agent_{name}", "agent", name, "agent", blocking=True, expected_delay=1e-4) for name in actuators]
    return System(specs, edges, "agent")


@dataclass
class MemoryOverTime:
    """Samples the memory of some processes, as the `watch` of a wall clock.

    Attributes:
        processes: their numbers by what they are.
        every: seconds between two samples.
        samples: seconds since the start, and bytes in the order of `processes`.
    """

    processes: dict[str, int]
    every: float
    samples: list[tuple[float, list[int]]] = field(default_factory=list)

    def __call__(self, episode: Episode) -> None:
        if not episode.closed and (not self.samples or episode.seconds >= self.samples[-1][0] + self.every):
            self.samples.append((episode.seconds, [memory(process) for process in self.processes.values()]))

    def growth(self, settled: float) -> list[float]:
        """MB from the first sample after `settled` seconds to the last one, of each process."""
        first = next((sizes for seconds, sizes in self.samples if seconds >= settled), self.samples[0][1])
        return [(last - size) / MB for size, last in zip(first, self.samples[-1][1], strict=True)]


def run(system: System, seconds: float, priority: int) -> tuple[Outcome, dict[str, Any], MemoryOverTime]:
    """Records some seconds; the recording must hold every step. Also what the bare loop says of the same seconds."""
    rate, key, settings = system.specs["agent"].rate, jax.random.key(0), WallSettings(priority=priority)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.mcap"
        with RecordingWriter(path, system.timing) as writer:
            watch = MemoryOverTime(
                {"nodes": os.getpid(), "recording": children(os.getpid())[0]}, every=max(1.0, seconds / 200)
            )
            clock = WallClock(system, writer, settings=settings)
            clock.prepare(init_graph_state(system, key))
            words = map(str, (rate, seconds, priority, settings.spin, system.specs["agent"].scheduling))
            command = [sys.executable, "-m", "tests.benchmarks.bare_wall_clock", *words]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                process.stdout.readline()
                outcome = clock.run(key, steps=round(rate * seconds), watch=watch)
                if outcome.error is not None:
                    print(f"ended after {outcome.seconds:.1f} s: {outcome.error}", flush=True)
                bare = json.loads(process.stdout.read())
            assert not writer.failed, writer.failed
            size = path.stat().st_size
        print(f"recorded {size / MB:.0f} MB, {size / MB / outcome.seconds:.3f} MB/s", flush=True)
        if outcome.error is None:
            check_recording(path, outcome)
    return outcome, bare, watch


def check_recording(path: Path, outcome: Outcome) -> None:
    """Every step that was made is recorded."""
    began = time.monotonic()
    counts = {name: int(steps.count[0]) for name, steps in read_recording(path).timeline().steps.items()}
    for each in outcome.punctuality:
        assert counts[each.node] == each.ticks, f"{each.node}: {counts[each.node]} of {each.ticks} steps are recorded"
    print(f"every step is in the recording, read in {time.monotonic() - began:.0f} s", flush=True)


def print_memory(watch: MemoryOverTime, settled: float) -> bool:
    """A table of memory over time; whether it stayed."""
    print(f"\n{'memory (MB)':<24}" + "".join(f"{name:>12}" for name in watch.processes))
    for seconds, sizes in watch.samples[:: max(1, len(watch.samples) // 12)] + watch.samples[-1:]:
        print(f"{f'after {seconds:.0f} s':<24}" + "".join(f"{size / MB:>12.2f}" for size in sizes))
    growth = watch.growth(settled)
    print(f"{f'growth after {settled:.0f} s':<24}" + "".join(f"{each:>12.2f}" for each in growth))
    return all(each < ALLOWED for each in growth)


def print_ticks(outcome: Outcome, bare: dict[str, Any]) -> None:
    """A table of ticks lost, of those that started more than a period late, and of lateness."""
    heads = ("ticks", "lost", "> period", "p50 (ms)", "p99 (ms)", "max (ms)")
    print(f"\n{'':<12}" + "".join(f"{head:>11}" for head in heads))
    rows = [
        (
            each.node,
            each.ticks,
            each.missed,
            [each.late_p50 * 1e3, each.late_p99 * 1e3, each.late_max * 1e3],
            int((outcome.lateness[each.node] > 1e9 / each.declared).sum()),
        )
        for each in outcome.punctuality
    ]
    for name, ticks, lost, late, over in [*rows, ("bare loop", "", bare["missed"], bare["late"], bare["over"])]:
        print(f"{name:<12}{ticks:>11}{lost:>11}{over:>11}" + "".join(f"{ms:>11.3f}" for ms in late), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--rate", type=float, default=500.0, help="of every node, Hz")
    parser.add_argument("--nodes", type=int, default=10)
    parser.add_argument("--priority", type=int, default=WallSettings().priority, help="0: the ordinary scheduler")
    parser.add_argument("--thread", choices=("shared", "auto"), default="shared")
    parser.add_argument("--scheduling", choices=("phase", "frequency"), default="phase")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, priority {options.priority}", flush=True)
    settled = min(SETTLED, options.seconds / 4)
    system = robot(options.nodes, options.rate, options.thread, options.scheduling)
    outcome, bare, watch = run(system, options.seconds, options.priority)
    print_ticks(outcome, bare)
    stayed = print_memory(watch, settled)
    return 0 if stayed and outcome.error is None else 1


if __name__ == "__main__":
    sys.exit(main())
