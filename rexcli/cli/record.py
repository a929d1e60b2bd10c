"""Implements `rex record`: runs the system on its clock and records everything."""

from __future__ import annotations

import time

from rexcli import pipeline
from rexcli.cli.job import Job
from rexcli.cli.results import draw_ahead, finish, write_drawn
from rexcli.cli.wall import record_wall
from rexcli.compiler import backend
from rexcli.runs.result import Result
from rexcli.runtime.nan import NanSearch
from rexcli.system.random_values import random_values


def record(job: Job) -> Result:
    """Runs the system; writes `recording.mcap` and `timeline.npz`, and draws them."""
    experiment = job.experiment
    backend.prepare(experiment.compile.devices)
    system = job.system()
    controller, parents = pipeline.controller(experiment, system, job.project)
    pipeline.check_steps(system, controller)
    if experiment.clock == "wall":
        return record_wall(job, system, controller, parents)
    timeline = pipeline.record_timeline(experiment, system)
    executor = pipeline.choose_executor(experiment, system, timeline, controller)
    total = int(timeline.num_steps.sum())
    nan = NanSearch(system.timing)
    timeline_file = draw_ahead(job, system, timeline)
    with job.new_run(parents) as run:
        began = time.perf_counter()
        with (
            run.recording(timeline.spec, {"experiment": experiment.name}) as writer,
            job.console.progress("record", total, "steps") as progress,
        ):
            try:
                pipeline.record(
                    experiment,
                    system,
                    timeline,
                    writer=writer,
                    runs=executor,
                    controller=controller,
                    on_steps=progress.advance,
                    nan=nan,
                )
            except KeyboardInterrupt:
                job.console.note(f"interrupted; what was recorded so far is kept in {run.path}")
                raise
        seconds = time.perf_counter() - began
        if writer.failed:
            job.console.warn(str(writer.failed))
        run.write_bytes("timeline.npz", timeline_file)
        write_drawn(run, random_values(system, experiment.seed, range(timeline.num_episodes)))
        values = {
            "episodes": timeline.num_episodes,
            "steps": total,
            "executor": executor,
            **pipeline.engines(system, executor),
            "simulated s": float(
                max(steps.end[steps.start < 2**61].max(initial=0) for steps in timeline.steps.values())
            )
            / 1e9,
            "wall s": seconds,
            "steps/s": progress.rate or total / seconds,
        }
        if nan.first is not None:
            run.add_result("nan", str(nan.first))
        warnings = [] if nan.first is None else [str(nan.first)]
        return finish(job, run, Result(values=values, path=run.path, warnings=warnings), system)
