"""Projects to run commands in: the toy one of the config tests, and one with a run of each command."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rexcli.cli.console import Console
from rexcli.cli.hydra_app import Flags, run
from rexcli.cli.main import _report, main
from rexcli.config.project import Project
from rexcli.plot import registry
from rexcli.runs.view import RunView
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


PICTURES = {
    "record": ("system", "dataflow", "delays", "trajectories"),
    "compile": ("supergraph",),
    "rollout": ("pendulum",),
    "train": ("training",),
    "eval": ("trajectories",),
}
"""Those that `runs_of_commands` have: each picture takes a second, and all of all runs took a third of the time."""


@pytest.fixture(scope="session")
def runs_of_commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one run of each command, and some of their pictures."""
    folder = tmp_path_factory.mktemp("project")
    commands = (
        ("record", "record.steps=40", "action.source=constant", "action.value=0.5"),
        ("compile", "from=latest:record"),
        ("rollout", "from=latest:compile", "rollout.num=20", "rollout.save=5"),
        ("train", *SMALL_TRAINING),
        ("eval", "latest:train"),
    )
    names = registry.names
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["init", ".", "--example", "pendulum", "--quiet"]) == 0
        for command, *words in commands:
            wanted = PICTURES[command]
            patch.setattr(registry, "names", lambda *of, wanted=wanted: [each for each in names(*of) if each in wanted])
            assert main([command, *words, "--quiet"]) == 0
    return folder


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands draw nothing, which takes them longer than what they do."""
    monkeypatch.setattr("rexcli.plot.draw_and_log", lambda *_: [])


@pytest.fixture
def make(toy: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Runs a command that makes a run with the result `double`, twice its seed: `make("seed=7")`; draws no sweep."""
    monkeypatch.setattr("rexcli.plot.draw_run", lambda *_: [])
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


def runs(project: Project) -> list[RunView]:
    return [RunView(file.parent) for file in sorted(project.outputs.rglob("run.json"))]
