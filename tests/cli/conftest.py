"""The toy project of the config tests, and commands of one line to run on it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rexcli.cli.console import Console
from rexcli.cli.hydra import Flags, run
from rexcli.cli.main import _report
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
