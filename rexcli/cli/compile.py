"""Implements `rex compile`: compiles a recording or a simulated timeline to a program, and says how good it is."""

from __future__ import annotations

import time
from typing import Any

import jax

from rexcli import pipeline
from rexcli.cli.job import Job
from rexcli.cli.results import draw_ahead, finish
from rexcli.compiler import backend
from rexcli.compiler.plan import Plan
from rexcli.compiler.plan_arrays import plan_to_arrays
from rexcli.compiler.program import Program
from rexcli.compiler.report import describe
from rexcli.runs.result import Result, Table
from rexcli.system.states import GraphState


def compile(job: Job) -> Result:
    """Compiles the program; writes `timeline.npz`, `plan.npz` and `program.json`."""
    experiment = job.experiment
    backend.prepare(experiment.compile.devices)
    system = job.system()
    backend.choose_devices(experiment.compile.devices)
    began = time.perf_counter()
    with job.console.stage("simulate"):
        timeline, parents = pipeline.timeline_for(experiment, system, job.project)
    timeline_file = draw_ahead(job, system, timeline)
    simulated = time.perf_counter()
    with job.console.stage("plan"):
        program = pipeline.compile(experiment, system, timeline)
    planned = time.perf_counter()
    plan = program.plan
    assert plan is not None
    with job.console.stage("trace"):
        lowered = jax.jit(_one_rollout).lower(program, jax.random.key(experiment.seed))
    traced = time.perf_counter()
    with job.new_run(parents) as run:
        run.write_bytes("timeline.npz", timeline_file)
        run.write_arrays("plan.npz", plan_to_arrays(plan))
        compiling = time.perf_counter()
        with job.console.stage("compile"):
            lowered.compile()
        compiled = time.perf_counter()
        values: dict[str, Any] = {
            "mode": plan.mode,
            "episodes": len(plan.length),
            "steps": int(plan.length.sum()),
            "slots": len(plan.template),
            "efficiency": plan.efficiency,
            "timeline s": simulated - began,
            "plan s": planned - simulated,
            "XLA s": compiled - compiling + traced - planned,
        }
        run.write_json("program.json", {**describe(plan), "skip": program.layout.skip})
        tables = [_slots(plan), _nodes(plan)]
        del timeline, program, plan, lowered  # they are large for a long timeline, and pictures read it again
        return finish(job, run, Result(values=values, path=run.path, tables=tables), system)


def _one_rollout(program: Program, rng: jax.Array) -> GraphState:
    return program.rollout(program.reset(program.init(rng))[0], keep={})[0]


def _slots(plan: Plan) -> Table:
    rows = [
        (i, node, f"{share:.1%}") for i, (node, share) in enumerate(zip(plan.template, plan.run_share, strict=True))
    ]
    return Table("template", ("slot", "node", "runs in"), rows)


def _nodes(plan: Plan) -> Table:
    rows = [(name, ring, plan.pruned.get(name, 0)) for name, ring in plan.rings.items()]
    return Table("nodes", ("node", "buffer, messages", "steps pruned"), rows)
