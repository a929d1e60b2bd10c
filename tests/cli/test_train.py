"""Which stopped training `resume=RUN` goes on with, and that it is the experiment that it began with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from rexcli.cli.console import Console
from rexcli.cli.job import Job
from rexcli.cli.train import find_stopped
from rexcli.config.compose import compose, config_yaml
from rexcli.config.project import Project
from rexcli.errors import RexError
from rexcli.runs.rundir import Run


@pytest.fixture
def resuming(toy: Project) -> Callable[..., Job]:
    """A job that goes on with a run of seed 7, which a command left with a status; it was typed with other words."""
    experiment = compose("toy", ["seed=7"], project=toy)

    def job(*words: str, command: str = "train", status: str = "interrupted") -> Job:
        text = config_yaml(experiment)
        with Run.create(toy.outputs, "toy", command, argv=["rex"], seed=7, config_yaml=text) as run:
            pass
        record = json.loads((run.path / "run.json").read_text())
        (run.path / "run.json").write_text(json.dumps({**record, "status": status}))
        now = replace(experiment, seed=8, resume=str(run.path))
        return Job("train", now, toy, Console(quiet=True), ("rex", "train", f"resume={run.path}", *words))

    return job


def test_a_training_goes_on_with_the_experiment_that_it_began_with(resuming: Callable[..., Job]) -> None:
    for status in ("interrupted", "failed"):
        job = resuming("--quiet", "distributed.processes=2", status=status)
        stopped = find_stopped(job)
        assert str(stopped.view.path) == job.experiment.resume
        assert (stopped.experiment.seed, stopped.experiment.resume) == (7, None)
        assert stopped.checkpoint is None


def test_what_cannot_be_gone_on_with_is_refused(resuming: Callable[..., Job], toy: Project) -> None:
    cases: list[tuple[Job, str]] = [
        (resuming(command="record"), "this is a run of `rex record`"),
        (resuming(status="done"), "is done; start a new one"),
        (resuming(status="running"), "is still running; stop it first"),
        (resuming("seed=9", "ppo.lr=1"), "leave out seed=9 ppo.lr=1"),
    ]
    for job, said in cases:
        with pytest.raises(RexError, match=said):
            find_stopped(job)
    with pytest.raises(RexError, match="nowhere"):
        find_stopped(replace(cases[0][0], experiment=replace(cases[0][0].experiment, resume="nowhere")))
