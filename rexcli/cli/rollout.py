"""Implements `rex rollout`: rolls out many episodes in parallel with the compiled program."""

from __future__ import annotations

import time

from rexcli import pipeline
from rexcli.cli.job import Job
from rexcli.cli.results import draw_ahead, finish, write_drawn
from rexcli.compiler import backend
from rexcli.compiler.report import describe
from rexcli.compiler.rollouts import rollout_arrays
from rexcli.runs.result import Result
from rexcli.system.random_values import random_values


def rollout(job: Job) -> Result:
    """Rolls out episodes; writes `timeline.npz`, `program.json` and, for the first episodes, `rollouts.npz`."""
    experiment = job.experiment
    backend.prepare(experiment.compile.devices)
    system = job.system()
    controller, policies = pipeline.controller(experiment, system, job.project)
    with job.console.stage("simulate"):
        timeline, parents = pipeline.timeline_for(experiment, system, job.project)
    timeline_file = draw_ahead(job, system, timeline)
    began = time.perf_counter()
    with job.console.stage("plan"):
        plan = pipeline.saved_plan(experiment, timeline, job.project) or pipeline.plan_for(experiment, timeline)
        program = pipeline.compile(experiment, system, timeline, plan)
    pipeline.check_rollout(experiment, program)
    _, left_out = pipeline.kept(experiment, program)
    if left_out is not None:
        job.console.warn(left_out)
    plan_seconds = time.perf_counter() - began
    with job.console.stage("compile"):
        compiled = pipeline.compile_rollout(experiment, program, controller=controller)
    assert program.plan is not None
    with job.new_run([*parents, *policies]) as run, job.console.progress("rollout", 1, "batch") as progress:
        done = pipeline.rollout(experiment, program, controller=controller, compiled=compiled)
        progress.advance()
        run.write_bytes("timeline.npz", timeline_file)
        write_drawn(run, random_values(system, experiment.seed, done.episode.tolist()))
        run.write_json("program.json", describe(program.plan))
        run.write_arrays("rollouts.npz", rollout_arrays(done, experiment.rollout.save))
        values = {
            "rollouts": done.num,
            "steps each": done.steps,
            "saved": min(done.num, experiment.rollout.save),
            "plan s": plan_seconds,
            "compile s": done.compile_seconds,
            "run s": done.run_seconds,
            "steps/s": done.steps_per_second,
            "devices": done.devices,
        }
        if done.nan is not None:
            run.add_result("nan", done.nan)
        warnings = [] if done.nan is None else [done.nan]
        return finish(job, run, Result(values=values, path=run.path, warnings=warnings), system)
