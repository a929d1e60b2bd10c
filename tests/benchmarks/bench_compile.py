"""Seconds to build the pendulum's program: the plan, first in a process and for 100 episodes, then tracing and XLA.

    python -m tests.benchmarks.bench_compile [--peer PYTHON]

`--peer` names an interpreter that has `rex-lib`, whose time to build its graph from a record of as many steps is then
taken in the same sitting.

Seen on two cores, 2026-11-22, nothing else running: the plan of 300 steps in 0.002 s, first in a process or not, where
rex-lib took 5.9 s; of 100 episodes in 0.20 s, and 0.05 s for its program. Tracing 0.4 s; XLA, where nothing was cached
(load 7.7), 2.9 s of processor time for a batch of which all states and outputs are kept, 1.2 of them for what draws the
initial states.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_NUM_CPU_DEVICES", "1")

import jax

from rexcli import pipeline
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program

STEPS = 300
BATCH = 1000


def timed(run: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds of wall and of processor time, and what was made."""
    wall, processor = time.perf_counter(), time.process_time()
    made = run()
    return time.perf_counter() - wall, time.process_time() - processor, made


def rollouts(program: Program, keys: jax.Array) -> Any:
    """What XLA is given: a batch of rollouts that keeps states and outputs of all nodes."""

    def one(key: jax.Array) -> Any:
        state, _ = program.reset(program.init(key))
        return program.rollout(state)[1]

    return jax.vmap(one)(keys)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer", help="interpreter that has rex-lib")
    options = parser.parse_args()
    experiment = pipeline.compose("pendulum")
    system = pipeline.build(experiment)
    keys = jax.random.split(jax.random.key(0), BATCH)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'':<44}{'wall, s':>10}{'processor, s':>14}")

    def show(what: str, wall: float, processor: float) -> None:
        print(f"{what:<44}{wall:>10.3f}{processor:>14.3f}")

    first = 0.0
    for what, episodes in (("plan, first in the process", 1), ("plan, again", 1), ("plan, 100 episodes", 100)):
        fresh = pipeline.compose("pendulum", f"timeline.episodes={episodes}", f"timeline.steps={STEPS}")
        timeline, _ = pipeline.timeline_for(fresh, system)
        wall, processor, plan = timed(lambda timeline=timeline: make_plan(timeline))
        show(what, wall, processor)
        first = first or wall
    wall, processor, program = timed(lambda: Program(system, plan))
    show("program, 100 episodes", wall, processor)
    wall, processor, lowered = timed(lambda: jax.jit(rollouts).lower(program, keys))
    show(f"tracing {BATCH} rollouts, all kept", wall, processor)
    wall, processor, _ = timed(lowered.compile)
    show(f"XLA, {BATCH} rollouts, all kept", wall, processor)
    if options.peer:
        script = Path(__file__).with_name("peer_rollouts.py")
        done = subprocess.run([options.peer, script, "0"], capture_output=True, text=True, timeout=600, check=True)
        build = float(done.stdout.split()[-1])
        print(f"{'rex-lib builds its graph in':<44}{build:>10.3f}   {build / first:.0f} times ours")


if __name__ == "__main__":
    main()
