"""How well a sensor-agent-actuator chain keeps its time on the wall clock, recorded, at 50 to 1,000 Hz.

    python -m tests.benchmarks.bench_wall_clock [--seconds 10] [--priority 10] [--peer PYTHON]

Lateness is from when a step's schedule (and for ours: all of the rules) lets it start until it starts. `jitted` is a
chain of jitted nodes, which share a thread; in `hardware` the ends are plain Python, each in a thread of its own.
At the same time runs `bare`, a loop in a process of its own that waits in the same way and does nothing else: what it
loses, the machine takes from everybody. `--peer` names an interpreter that has `rex-lib`, which then runs the same
chain in the same sitting.

Seen on two cores of a virtual machine with nothing else to do, 2026-11-22, 10 s each; p99 of the latest of the three
nodes, the most ticks that one of them missed, and in brackets those that `bare` missed in the same seconds, if any:

    Hz                      50        200        500          1000
    jitted    p99 (ms)    0.11       0.11       0.09          0.15
              missed         0      3 (3)          0             0
    hardware  p99 (ms)    0.32       0.16       0.17          0.30
              missed         0          0      5 (4)       77 (38)
    rex-lib   p99 (ms)      79         95       1315          3459        (each step called twice)
              achieved   49.8 Hz     198 Hz     223 Hz        232 Hz

At load 11 the same, but for jitted at 1,000 Hz (p99 0.36, missed 11 of which `bare` 9) and rex-lib, which asks for no
priority (p99 329, 774, 1677, 4471). With the recording written by the process that runs the nodes, jitted missed 36
and hardware 205 ticks of 1,000 Hz, and p99 was 0.8 ms.

Without the right to real-time priorities (`setpriv --bounding-set=-sys_nice --inh-caps=-sys_nice`), on the same machine
at load 6, 2026-11-25, 6 s each, in brackets with the right in the same quarter of an hour:

    Hz                      50         200         500        1000
    jitted    p99 (ms)  16 (0.05)  8.9 (0.04)  5.1 (0.03)  4.1 (0.05)
              missed     4 (0)      56 (0)     128 (0)     939 (1)
    bare      missed     8 (0)     107 (0)     167 (0)    1742 (0)
    hardware  p99 (ms)  12 (0.14)  5.0 (0.10)  3.8 (0.06)  2.2 (1.3)
              missed     0 (0)      11 (0)      88 (1)     419 (1151)

What is left comes from below: some times a minute every process on this machine stands still for 2 to 25 ms, on both
cores at once and with no steal in /proc/stat, so the hypervisor stops the whole machine. A stall of n periods costs
n ticks, of a loop that does nothing else too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from rexcli.config.schema import WallSettings
from rexcli.runs.recording import RecordingWriter, read_recording
from rexcli.runtime.wall.session import Outcome
from rexcli.runtime.wall.wall_clock import WallClock
from rexcli.system.delays import Constant
from rexcli.system.init import init_graph_state
from rexcli.system.node import Node
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.states import GraphState, StepState
from rexcli.system.system import System

RATES = (50, 200, 500, 1000)
NAMES = ("sensor", "agent", "actuator")


class Part(Node):
    """Adds one to what it reads."""

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> jax.Array:
        return jnp.zeros(())

    def step(self, step_state: StepState) -> tuple[StepState, jax.Array]:
        return step_state, sum((inputs[-1].data for inputs in step_state.inputs.values()), jnp.zeros(())) + 1


class HardwarePart(Part):
    """The same in NumPy, in a thread of its own."""

    jit = False

    def step(self, step_state: StepState) -> tuple[StepState, jax.Array]:
        return step_state, sum(float(inputs[-1].data) for inputs in step_state.inputs.values()) + 1  # type: ignore[return-value]


def chain(rate: float, ends: type[Node]) -> System:
    """Each node expects to take 0.1 ms, and its messages 0.1 ms, so that all fit into a period of 1 ms."""
    parts = {"sensor": ends(), "agent": Part(), "actuator": ends()}
    nodes = [(NodeSpec(name, rate, delay=Constant(1e-4)), part) for name, part in parts.items()]
    edges = [
        Edge("sensor_agent", "sensor", "agent", "sensor", blocking=True, expected_delay=1e-4),
        Edge("agent_actuator", "agent", "actuator", "agent", blocking=True, expected_delay=1e-4),
    ]
    return System(nodes, edges, "agent")


def run(system: System, seconds: float, priority: int) -> tuple[Outcome, dict[str, Any]]:
    """Records some seconds; the recording must hold every step. And what `bare_wall_clock` says of the same seconds."""
    rate, key, settings = system.specs["agent"].rate, jax.random.key(0), WallSettings(priority=priority)
    command = [sys.executable, "-m", "tests.benchmarks.bare_wall_clock"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.mcap"
        with RecordingWriter(path, system.timing) as writer:
            clock = WallClock(system, writer, settings=settings)
            clock.prepare(init_graph_state(system, key))
            words = map(str, (rate, seconds, priority, settings.spin))
            with subprocess.Popen([*command, *words], stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                process.stdout.readline()
                outcome = clock.run(key, steps=round(rate * seconds)).check()
                bare = json.loads(process.stdout.read())
        counts = {name: int(steps.count[0]) for name, steps in read_recording(path).timeline().steps.items()}
    for each in outcome.punctuality:
        assert counts[each.node] == each.ticks, f"{each.node}: {counts[each.node]} of {each.ticks} steps are recorded"
    return outcome, bare


def line(what: str, rate: float, node: str, achieved: float, late: list[float], rest: str) -> str:
    return f"{what:<10}{rate:>6}  {node:<10}{achieved:>10.2f}" + "".join(f"{ms:>10.3f}" for ms in late) + f"  {rest}"


def bench_ours(what: str, ends: type[Node], seconds: float, priority: int) -> None:
    for rate in RATES:
        outcome, bare = run(chain(rate, ends), seconds, priority)
        for each in outcome.punctuality:
            late = [each.late_p50 * 1e3, each.late_p99 * 1e3, each.late_max * 1e3]
            print(line(what, rate, each.node, each.rate, late, f"{each.missed} missed, {each.busy:.1%} busy"))
        print(line("bare", rate, "", bare["rate"], bare["late"], f"{bare['missed']} missed"), flush=True)


def bench_peer(python: str, seconds: float) -> None:
    script = str(Path(__file__).with_name("peer_wall_clock.py"))
    for rate in RATES:
        try:
            done = subprocess.run(
                [python, script, str(rate), str(seconds)], capture_output=True, text=True, timeout=6 * seconds + 90
            )
            found = json.loads(done.stdout.splitlines()[-1])
        except (subprocess.TimeoutExpired, IndexError, json.JSONDecodeError) as error:
            print(f"{'rex-lib':<10}{rate:>6}  did not end: {type(error).__name__}", flush=True)
            continue
        for name in NAMES:
            node = found[name]
            rest = f"{node['calls']} calls of {node['steps']} steps"
            print(line("rex-lib", rate, name, node["steps"] / node["seconds"], node["late"], rest), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="at each rate")
    parser.add_argument("--priority", type=int, default=WallSettings().priority, help="0: the ordinary scheduler")
    parser.add_argument("--peer", help="interpreter that has rex-lib")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, priority {options.priority}")
    print(f"{'':<10}{'Hz':>6}  {'node':<10}{'achieved':>10}{'p50 (ms)':>10}{'p99 (ms)':>10}{'max (ms)':>10}")
    bench_ours("jitted", Part, options.seconds, options.priority)
    bench_ours("hardware", HardwarePart, options.seconds, options.priority)
    if options.peer:
        bench_peer(options.peer, options.seconds)


if __name__ == "__main__":
    main()
