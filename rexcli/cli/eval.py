"""Implements `rex eval RUN`: evaluates a trained policy from fresh starts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np  # noqa: F401  # as in `hydra_app`

from rexcli import pipeline
from rexcli.cli.console import Console
from rexcli.cli.evaluation import evaluate_and_sample, evaluation_values, evaluation_warnings
from rexcli.cli.job import job_on_run
from rexcli.cli.node_files import changed_files
from rexcli.cli.results import finish
from rexcli.compiler import backend
from rexcli.runs.result import Result
from rexcli.timeline.arrays import to_arrays


def evaluate_run(run: str, overrides: Sequence[str], console: Console, argv: Sequence[str]) -> Result:
    """Evaluates the policy of a training run on its own experiment, changed by `overrides`.

    Delays are newly sampled too, unless `from=RUN` names a timeline.
    """
    job, view = job_on_run("eval", run, ["from=null", *overrides], console, argv)
    job.start_drawing()
    experiment = job.experiment
    backend.prepare(experiment.compile.devices)
    policy, _ = pipeline.load_policy(str(view.path), job.project, seed=experiment.policy_seed)
    system = job.system()
    for line in changed_files(view, system):
        console.warn(f"{line}; this evaluates with what it is now")
    task = pipeline.environment(experiment, system)
    timeline, parents = pipeline.evaluation_timeline(experiment, system, task, job.project)
    program = pipeline.compile(experiment, system, timeline, task=task)
    pipeline.check_evaluation(experiment, program, task)
    with job.new_run([view.path, *parents]) as out:
        evaluation, rollouts, nan = evaluate_and_sample(experiment, program, task, policy)
        columns = ["episode", "return", "length", *evaluation.summary]
        each = zip(evaluation.returns, evaluation.lengths, *evaluation.summary.values(), strict=True)
        rows = [[index, float(ret), int(length), *map(float, rest)] for index, (ret, length, *rest) in enumerate(each)]
        out.write_csv("evaluation.csv", columns, rows)
        out.write_arrays("timeline.npz", to_arrays(timeline))
        out.write_arrays("rollouts.npz", rollouts)
        values = evaluation_values(evaluation)
        warnings = evaluation_warnings(evaluation, nan)
        return finish(job, out, Result(values=values, path=out.path, warnings=warnings), system)
