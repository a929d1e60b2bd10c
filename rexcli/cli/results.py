"""Ends a run: notes its results and draws its default pictures."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rexcli.cli import drawing as drawing_processes
from rexcli.cli.job import Job
from rexcli.cli.node_files import keep_files
from rexcli.config.project import Project
from rexcli.runs.formats import encode_arrays
from rexcli.runs.result import Result
from rexcli.runs.rundir import Run
from rexcli.runs.view import RunView
from rexcli.system.delays import Constant, Delay
from rexcli.system.system import System
from rexcli.timeline.arrays import to_arrays
from rexcli.timeline.timeline import Timeline

POINTS = 200
"""Number of points of a density's curve."""


def draw(run: Run, results: Mapping[str, Any], delays: System | Mapping[str, Delay], project: Project) -> None:
    """Notes `results` in `run.json` and draws into `plots/`. A picture that fails is logged, not fatal.

    For a system of many nodes, drawing takes no longer than the command has taken so far; pictures left out are logged.

    `delays.npz` holds the declared delays as plain numbers, for the pictures, which instantiate nothing.

    Args:
        run: the run to finish.
        results: results by name, with units.
        delays: the system that ran, whose nodes' files are kept too; or delays by `<kind>/<name>`.
        project: the project that defines the experiment's own pictures.
    """
    if drawing_processes.draw_pictures(*_kept(run, results, delays, project)):
        run.register("plots")


def drawing(
    run: Run, results: Mapping[str, Any], delays: System | Mapping[str, Delay], project: Project
) -> partial[list[Path]]:
    """Does all of `draw` except drawing; returns a function that draws, in any process, and returns the files."""
    from rexcli.plot import draw_and_log

    return partial(draw_and_log, *_kept(run, results, delays, project))


def _kept(
    run: Run, results: Mapping[str, Any], delays: System | Mapping[str, Delay], project: Project
) -> tuple[RunView, Project, float]:
    """Notes what a run ends with; returns what its pictures are drawn from, and the most seconds that this may take."""
    for key, value in results.items():
        run.add_result(key, value)
    if isinstance(delays, System):
        keep_files(run, delays)
        delays = delays_of(delays)
    run.write_arrays("delays.npz", delay_arrays(delays))
    return RunView(run.path), project, time.process_time()


def finish(job: Job, run: Run, result: Result, delays: System | Mapping[str, Delay]) -> Result:
    """Prints a command's results, unless it is a job of a sweep, and then draws its pictures."""
    if job.path is None:
        job.console.show(result)
    with job.console.stage("draw"):
        draw(run, result.values, delays, job.project)
    return replace(result, shown=job.path is None)


def draw_ahead(job: Job, system: System, timeline: Timeline) -> bytes:
    """Draws beside the command what will not change any more: the system and its timeline.

    Returns:
        The content of the run's `timeline.npz`.
    """
    content = encode_arrays(to_arrays(timeline))
    if drawing_processes.are_started():
        files = {"timeline.npz": content, "delays.npz": encode_arrays(delay_arrays(delays_of(system)))}
        drawing_processes.draw_ahead(job.config_yaml, files)
    return content


def write_drawn(run: Run, drawn: Mapping[str, np.ndarray]) -> None:
    """Writes `drawn.csv`, with what each episode drew at random, if anything."""
    if drawn:
        rows = zip(*(column.tolist() for column in drawn.values()), strict=True)
        run.write_csv("drawn.csv", ["episode", *drawn], [[number, *row] for number, row in enumerate(rows)])


def delays_of(system: System) -> dict[str, Delay]:
    """Returns the delays of a system by `<kind>/<name>`."""
    nodes = {f"node/{name}": spec.delay for name, spec in system.specs.items()}
    return nodes | {f"edge/{name}": edge.delay for name, edge in system.edges.items()}


def delay_arrays(delays: Mapping[str, Delay]) -> dict[str, np.ndarray]:
    """Returns delays as arrays: `<kind>/<name>/constant`, s, or `…/x`, s, `…/density`, 1/s, and `…/at_zero`.

    `at_zero` is the distribution's share below 0, which counts as 0.
    """
    arrays: dict[str, np.ndarray] = {}
    for key, delay in delays.items():
        if type(delay) is Constant:  # not an adjustable delay, which has no single value to show
            arrays[f"{key}/constant"] = np.asarray(delay.seconds)
            continue
        spread = delay.quantile(0.999) - delay.quantile(0.5)
        x = np.linspace(max(0.0, delay.quantile(0.001) - spread / 2), delay.quantile(0.999) + spread / 2, POINTS)
        density = delay.density(x)
        if density is not None:
            arrays[f"{key}/x"], arrays[f"{key}/density"] = x, density
            arrays[f"{key}/at_zero"] = np.nan_to_num(delay.cdf(0.0))
    return arrays
