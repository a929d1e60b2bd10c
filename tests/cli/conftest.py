"""Projects to run commands in: the toy one of the config tests, and one with a run of each command."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rexcli.cli.console import Console
from rexcli.cli.hydra_app import Flags, run
from rexcli.cli.main import _report, main
from rexcli.config.project import Project
from tests.config.conftest import toy

__all__ = ["toy"]

COMMAND = """
from rexcli.runs.result import Result
from rexcli.errors import RexError

def {name}(job):
    job.system()
    with job.new_run() as run:
        if job.experiment.seed == 13:
            raise ZeroDivisionError("unlucky")
        if job.experiment.seed == 14:
            raise RexError("seed 14: give another")
        if job.experiment.seed == 15:
            raise KeyboardInterrupt
        run.write_json("seen.json", {{"seed": job.experiment.seed, "lr": job.experiment.ppo.lr}})
        run.add_result("double", job.experiment.seed * 2.0)
    return Result(values=run.results, path=run.path, objective=job.experiment.seed)
"""

Make = Callable[..., int]

SMALL_TRAINING = [
    "ppo.total_timesteps=2048",
    "ppo.num_envs=16",
    "ppo.num_steps=16",
    "ppo.num_seeds=2",
    "ppo.num_minibatches=2",
    "ppo.update_epochs=1",
    "ppo.num_evals=2",
    "ppo.num_eval_envs=4",
    "timeline.episodes=2",
    "timeline.steps=60",
    "eval.seconds=1.2",
    "eval.episodes=8",
]


@pytest.fixture(scope="session")
def runs_of_commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one run of each command."""
    folder = tmp_path_factory.mktemp("project")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["init", ".", "--example", "pendulum", "--quiet"]) == 0
        assert main(["record", "record.steps=40", "action.source=constant", "action.value=0.5", "--quiet"]) == 0
        assert main(["compile", "from=latest:record", "--quiet"]) == 0
        assert main(["rollout", "from=latest:compile", "rollout.num=20", "rollout.save=5", "--quiet"]) == 0
        assert main(["train", *SMALL_TRAINING, "--quiet"]) == 0
        assert main(["eval", "latest:train", "--quiet"]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def make(toy: Project, tmp_path: Path) -> Make:
    """Runs a command that makes a run with the result `double`, twice its seed: `make("seed=7")`."""
    (tmp_path / "making.py").write_text(COMMAND.format(name="make"))

    def run_make(*words: str, multirun: bool = False, quiet: bool = False, as_json: bool = False, **flags: str) -> int:
        console = Console(quiet, as_json)
        try:
            return run("make", "making", words, Flags(multirun=multirun, **flags), console, ("rex", "make", *words))
        except (Exception, KeyboardInterrupt) as error:
            return _report(error)

    sys.path.insert(0, str(tmp_path))
    sys.modules.pop("making", None)
    return run_make
