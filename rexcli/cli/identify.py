"""Implements `rex identify RUN`: finds parameters and delays with which the simulation reproduces a recording."""

from __future__ import annotations

from typing import Any

from rexcli import identification
from rexcli.cli.job import Job
from rexcli.cli.results import finish
from rexcli.compiler import backend
from rexcli.identify import report
from rexcli.runs.result import Result
from rexcli.timeline.arrays import to_arrays


def identify(job: Job) -> Result:
    """Identifies the unknowns; writes `params.yaml`, `delays.yaml`, `estimates.csv`, `posterior.npz`, `loss.csv`,
    `signals.npz` and their pictures."""
    from omegaconf import OmegaConf

    experiment = job.experiment
    backend.prepare(experiment.compile.devices)
    problem, timeline, system, parents = identification.make_problem(experiment, job.project)
    with job.new_run(parents) as run, job.console.progress("identify", 1000, "‰") as progress:
        found = identification.solve(
            experiment, problem, job.project, lambda share, note: progress.update(max(1, round(1000 * share)), note)
        )
        run.write_arrays("timeline.npz", to_arrays(timeline))
        for name, fragment in zip(("params.yaml", "delays.yaml"), report.fragments(found), strict=True):
            if fragment:
                said = "".join(f"# {line}\n" for line in report.warnings(found))
                run.write_bytes(name, (said + OmegaConf.to_yaml(OmegaConf.create(fragment))).encode())
        run.write_csv("estimates.csv", *report.estimates_rows(found))
        run.write_csv("loss.csv", ["rollouts", "loss", "stage"], found.curve)
        run.write_arrays("posterior.npz", report.posterior_arrays(found))
        run.write_arrays("signals.npz", report.signal_arrays(found))
        values: dict[str, Any] = {
            "identified": sum(each.identified for each in found.estimates),
            "of": len(found.estimates),
            "fitted error": found.mean_error(held_out=False),
            "held-out error": found.mean_error(held_out=True),
            "rollouts": found.rollouts,
            "wall s": found.seconds,
        }
        result = Result(
            values=values,
            path=run.path,
            tables=[report.table(found), report.errors_table(found)],
            warnings=report.warnings(found),
            objective=found.mean_error(held_out=True),
        )
        return finish(job, run, result, system)
