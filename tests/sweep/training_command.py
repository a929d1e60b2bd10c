"""A command for tests of `launcher=vmap`, `drill`: stops in its middle for a training, which tests make up. It has the
room to train two jobs together, of which all have as many environments."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rexcli.cli.console import Console
from rexcli.cli.hydra_app import Flags, run
from rexcli.cli.job import Job
from rexcli.cli.main import _report
from rexcli.config.schema import Experiment
from rexcli.rl.train import Stages, TrainingRequest
from rexcli.runs.result import Result

GREEDY = 0.5
"""The learning rate of a job that is interrupted once it is trained."""


@dataclass(frozen=True)
class Setup:
    """Stands for a `TrainingSetup`."""

    experiment: Experiment

    def shares_program(self, other: Setup) -> bool:
        return self.experiment.ppo.num_envs == other.experiment.ppo.num_envs

    def has_room(self, trainings: int) -> bool:
        return trainings <= 2


def stages(job: Job, known: dict[str, Any]) -> Stages[Result]:
    """Has the results `first`, seed and rate of the first job that was told of the same `known`, and `elsewhere`,
    whether another process did the rest."""
    with job.new_run() as run:
        own = f"{job.experiment.seed} at {job.experiment.nodes['brain'].rate:g} Hz"
        run.add_result("first", known.setdefault("first", own))
        training = yield TrainingRequest(Setup(job.experiment))  # type: ignore[arg-type]
        if training.interrupted:
            raise training.stopped_by
        if job.experiment.ppo.lr == GREEDY:
            raise KeyboardInterrupt
        run.add_result("elsewhere", (yield partial(os.getpid)) != os.getpid())
    return Result(values=run.results, path=run.path)


def main(words: Sequence[str]) -> int:
    """Runs `rex drill -m WORDS launcher=vmap` in the working directory's project."""
    argv = [*words, "launcher=vmap"]
    try:
        return run(
            "drill",
            "tests.sweep.training_command",
            argv,
            Flags(multirun=True),
            Console(),
            ("rex", "drill", "-m", *argv),
        )
    except (Exception, KeyboardInterrupt) as error:
        return _report(error)
