"""A training that was stopped goes on as if it never had been."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from rexcli.cli.main import main
from rexcli.rl import checkpoints
from rexcli.runs.view import RunView, find_run
from tests.cli.conftest import SMALL_TRAINING

pytestmark = pytest.mark.usefixtures("undrawn")

LONGER = [*SMALL_TRAINING, "ppo.total_timesteps=8192", "ppo.num_evals=8"]


@pytest.fixture
def project(runs_of_commands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own with one training in it, as the working directory."""
    shutil.copytree(runs_of_commands, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    """A longer training that was never stopped."""
    folder = tmp_path_factory.mktemp("resume")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["train", *LONGER, "name=whole", "--quiet"]) == 0
    finally:
        os.chdir(before)
    return RunView(next((folder / "outputs" / "whole" / "train").iterdir()))


def kill_after(project: Path, name: str, evaluations: int, delay: float) -> RunView:
    """Starts a training, kills it once it has made so many evaluations and a little more."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rexcli.cli.main", "train", *LONGER, f"name={name}", "--quiet"], cwd=project
    )
    deadline = time.monotonic() + 120
    metrics = f"outputs/{name}/train/*/metrics.csv"
    while time.monotonic() < deadline and process.poll() is None:
        if any(len(path.read_text().splitlines()) > 2 * evaluations for path in project.glob(metrics)):
            break
        time.sleep(0.002)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return RunView(next((project / "outputs" / name / "train").iterdir()))


def assert_resumes(unbroken: RunView, stopped: RunView) -> None:
    assert stopped.status == "killed"
    assert main(["train", f"resume={stopped.path}", "--quiet"]) == 0
    resumed = RunView(stopped.path)
    assert resumed.status == "done"
    for name in ("metrics.csv", "policy/weights.npz", "policies/1/weights.npz"):
        same = (resumed.path / name).read_bytes() == (unbroken.path / name).read_bytes()
        assert same, f"{name} differs"
    assert resumed.results["return mean"] == unbroken.results["return mean"]


def stopped_copy(project: Path, name: str) -> Path:
    """The project's training, as if it had been stopped at its end."""
    folder = project / "outputs" / name / "train" / "one"
    shutil.copytree(find_run("latest:train", project / "outputs").path, folder)
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "status": "interrupted"}))
    return folder


@pytest.mark.slow
def test_a_damaged_or_foreign_checkpoint_is_refused_before_the_run_is_opened(project, capfd):
    folder = stopped_copy(project, "foreign")
    newest = max((folder / "checkpoints").iterdir(), key=lambda path: int(path.name))
    states = checkpoints.load_latest(folder / "checkpoints")
    for path in (folder / "checkpoints").iterdir():
        shutil.rmtree(path)
    before = (folder / "run.json").read_bytes()

    def refused(said: str) -> None:
        capfd.readouterr()
        assert main(["train", f"resume={folder}", "--quiet"]) == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert said in line
        assert (folder / "run.json").read_bytes() == before

    foreign = {name: leaf[:1] for name, leaf in states.states.items()}
    checkpoints.save(folder / "checkpoints", replace(states, states=foreign))
    refused("the checkpoint does not fit this training (at '")
    shutil.rmtree(folder / "checkpoints")
    checkpoints.save(folder / "checkpoints", states)
    damaged = max((folder / "checkpoints" / newest.name / "state").rglob("*"), key=lambda path: path.stat().st_size)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    refused("none of its checkpoints can be read; train again without resume")


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(2))
def test_a_training_killed_at_any_moment_goes_on_bit_for_bit(whole, project, attempt):
    chance = random.Random(attempt)
    stopped = kill_after(project, f"killed{attempt}", chance.randint(0, 6), chance.uniform(0, 0.3))
    if stopped.status == "done":
        pytest.skip("it was done before it could be killed")
    assert_resumes(whole, stopped)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["resume=latest:train", "ppo.lr=1e-3"], "leave out ppo.lr=1e-3"),
        (["resume=latest:train"], "done; start a new one"),
        (["resume=nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_resumed_is_refused(project, capsys, words, hint):
    newest = find_run("latest:train", project / "outputs")
    if "ppo.lr=1e-3" in words:  # of a run that could be resumed
        copy = project / "outputs" / "copy" / "train" / "2999-01-01_00-00-00"
        shutil.copytree(newest.path, copy, dirs_exist_ok=True)
        text = (copy / "run.json").read_text().replace('"status": "done"', '"status": "failed"')
        (copy / "run.json").write_text(text)
        words = [f"resume={copy}", *words[1:]]
    assert main(["train", *words]) == 2
    assert hint in capsys.readouterr().err
