"""How well a sensor-agent-actuator chain keeps its time on the wall clock, recorded, at 50 to 1,000 Hz.

    python -m tests.benchmarks.bench_wall_clock [--seconds 10] [--priority 10] [--peer PYTHON]

`--peer` names an interpreter that has `rex-lib`, which then runs the same chain in the same sitting. Lateness is from
when a step's schedule (and for ours: all of the rules) lets it start until it starts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp

from rexcli.graph.delays import Constant
from rexcli.graph.node import Node
from rexcli.graph.states import GraphState, StepState
from rexcli.graph.system import Edge, NodeSpec, System
from rexcli.runs.recording import RecordingWriter, read_recording
from rexcli.runtime.wall import Outcome, WallClock, WallSettings

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


def run(system: System, seconds: float, priority: int) -> Outcome:
    """Records some seconds; the recording must hold every step."""
    rate = system.specs["agent"].rate
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.mcap"
        with RecordingWriter(path, system.timing) as writer:
            clock = WallClock(system, writer, settings=WallSettings(priority=priority))
            outcome = clock.run(jax.random.key(0), steps=round(rate * seconds)).check()
        counts = {name: int(steps.count[0]) for name, steps in read_recording(path).timeline().steps.items()}
    for each in outcome.punctuality:
        assert counts[each.node] == each.ticks, f"{each.node}: {counts[each.node]} of {each.ticks} steps are recorded"
    return outcome


def line(what: str, rate: float, node: str, achieved: float, late: list[float], rest: str) -> str:
    return f"{what:<10}{rate:>6}  {node:<10}{achieved:>10.2f}" + "".join(f"{ms:>10.3f}" for ms in late) + f"  {rest}"


def bench_ours(what: str, ends: type[Node], seconds: float, priority: int) -> None:
    for rate in RATES:
        for each in run(chain(rate, ends), seconds, priority).punctuality:
            late = [each.late_p50 * 1e3, each.late_p99 * 1e3, each.late_max * 1e3]
            print(
                line(what, rate, each.node, each.rate, late, f"{each.missed} missed, {each.busy:.1%} busy"), flush=True
            )


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
