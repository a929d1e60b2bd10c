"""Implements `rex record clock=wall --dry-run`: checks a run on the wall clock before a robot moves."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from rexcli import pipeline
from rexcli.cli.job import Job
from rexcli.cli.show import simulate_quickly, warnings
from rexcli.compiler import backend
from rexcli.errors import RexError
from rexcli.machine import cores
from rexcli.runs.result import Result, Table
from rexcli.runtime.wall.realtime import why_no_priority
from rexcli.system.system import System
from rexcli.timeline.spec import NANOSECONDS

NEARLY = 0.8
"""Share of its period that a node's step may take without a warning."""


def record(job: Job) -> Result:
    """Builds the nodes, compiles and tries the pure steps, and compares their times with delays and rates.

    No node's `startup`, `stop` or, with `jit = False`, `step` is called, and no run is written.
    """
    experiment = job.experiment
    if experiment.clock != "wall":
        raise RexError(
            f"{experiment.origins.where('clock')}: clock={experiment.clock}: --dry-run checks a run on the wall clock; "
            "add clock=wall"
        )
    backend.prepare(experiment.compile.devices)
    system = job.system()
    controller, _ = pipeline.controller(experiment, system, job.project)
    pipeline.check_steps(system, controller)
    began = time.perf_counter()
    with job.console.stage("compile"):
        clock = pipeline.prepare_wall(experiment, system, controller)
    took = time.perf_counter() - began
    measured, _, steps = simulate_quickly(experiment, system)
    seconds = clock.step_seconds
    said = [*warnings(system, measured, steps), *_warnings(system, seconds, emulate=experiment.wall.emulate)]
    if (missing := why_no_priority(experiment.wall.priority)) is not None:
        said.append(missing)
    declared = experiment.record
    length = f"{declared.steps} steps" if declared.seconds is None else f"{declared.seconds:g} s"
    values: dict[str, Any] = {
        "would record": f"{declared.episodes} x {length}",
        "compile s": took,
        "real-time priority": "no" if missing else (experiment.wall.priority or "not asked for"),
        "warnings": len(said),
    }
    rows = [_row(system, name, seconds[name], name in clock.shared) for name in system.nodes]
    columns = ("node", "rate Hz", "period ms", "step ms", "of period", "expected ms", "thread")
    return Result(values=values, tables=[Table("steps, nothing started", columns, rows)], warnings=said)


def _row(system: System, name: str, seconds: float | None, shared: bool) -> list[Any]:
    rate, expected = system.specs[name].rate, system.timing.node(name).expected_delay / NANOSECONDS * 1e3
    times = ["not called", "-"] if seconds is None else [f"{seconds * 1e3:.3g}", f"{seconds * rate:.0%}"]
    return [name, rate, 1e3 / rate, *times, expected, "shared" if shared else "own"]


def _warnings(system: System, seconds: Mapping[str, float | None], *, emulate: bool) -> Iterator[str]:
    """Yields a warning for everything that the measured times of steps rule out."""
    for name, took in seconds.items():
        if took is None:
            continue
        rate, expected = system.specs[name].rate, system.timing.node(name).expected_delay / NANOSECONDS
        step = f"node '{name}': a step takes {took * 1e3:.3g} ms on this machine"
        if took * rate > NEARLY:
            yield f"{step}, {took * rate:.0%} of its period at {rate:g} Hz; lower its rate, or make its step faster"
        elif took > expected + 1e-3:
            why = "which cannot be emulated" if emulate else "so that its readers are scheduled too early"
            yield f"{step}, and {expected * 1e3:.3g} ms are expected, {why}; declare its delay, or make its step faster"
    load = sum(took * system.specs[name].rate for name, took in seconds.items() if took is not None)
    if load > NEARLY * cores():
        yield f"all steps together keep {load:.1f} cores busy, and this process has {cores()}; lower rates or run less"
