"""What a command's function gets."""

from __future__ import annotations

from rexcli.cli.console import Console
from rexcli.cli.job import job_on_run
from rexcli.config.project import Project
from rexcli.runs.view import RunView
from tests.cli.conftest import Make, runs


def test_a_job_on_a_run_has_the_runs_experiment(make: Make, toy: Project) -> None:
    assert make("conf=toy", "seed=7") == 0
    job, view = job_on_run("make", "latest", ["eval.episodes=5"], Console(quiet=True))
    assert view.path == runs(toy)[0].path
    assert (job.experiment.seed, job.experiment.eval.episodes) == (7, 5)
    with job.new_run(parents=[view.path]) as run:
        pass
    assert RunView(run.path).parents == [str(view.path.relative_to(toy.outputs))]
