"""SIGINT and SIGTERM end every command with the same manners: its exit code, its status, and what was made is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rexcli.runs.view import find_run

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
LONG_TRAINING = ["ppo.num_seeds=1", "ppo.num_envs=16", "ppo.num_evals=400", "ppo.total_timesteps=2000000"]
SHORT_EVALUATION = ["ppo.num_eval_envs=2", "eval.seconds=0.5", "~eval.metrics", "timeline.episodes=2"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    assert rex(folder, "init", ".", "--example", "pendulum").wait(60) == 0
    return folder


def rex(project: Path, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "rexcli", *words]
    pipe = subprocess.PIPE

    def default_signals() -> None:  # whoever runs the tests may ignore some
        for number in CODES:
            signal.signal(number, signal.SIG_DFL)

    return subprocess.Popen(
        command, cwd=project, env=environment, stdout=pipe, stderr=pipe, text=True, preexec_fn=default_signals
    )


def wait_for(process: subprocess.Popen[str], glob: str, project: Path, seconds: float = 120) -> Path:
    """The first file that is there."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        for path in (project / "outputs").glob(glob):
            return path
        time.sleep(0.05)
    process.kill()
    raise AssertionError(process.communicate())


@pytest.mark.slow
@pytest.mark.parametrize("number", CODES)
def test_a_training_keeps_its_checkpoint_and_goes_on(project, number):
    process = rex(project, "train", *LONG_TRAINING, *SHORT_EVALUATION, f"name=s{int(number)}")
    wait_for(process, f"s{int(number)}/train/*/checkpoints/*", project)
    process.send_signal(number)
    _, said = process.communicate(timeout=200)
    assert process.returncode == CODES[number], said
    view = find_run("latest:train", project / "outputs")
    assert view.status == "interrupted"
    assert f"go on with: rex train resume={view.path}" in said
    again = rex(project, "train", f"resume={view.path}")
    wait_for(again, f"s{int(number)}/train/*/checkpoints/*", project)
    time.sleep(8)
    again.send_signal(number)
    again.communicate(timeout=200)
    assert again.returncode == CODES[number]
    rows = (view.path / "metrics.csv").read_text().splitlines()
    assert len(rows) == len({row.split(",")[1] for row in rows}), "an update stands there twice"


@pytest.mark.slow
@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("record", ["record.steps=200000"]),
        ("record", ["record.steps=200000", "clock=wall"]),
        ("rollout", ["rollout.num=200000", "rollout.keep.nodes=[agent]"]),
    ],
)
def test_other_commands_end_with_the_right_code_and_status(project, command, words, number):
    name = f"{command}{len(words)}{int(number)}"
    process = rex(project, command, *words, f"name={name}")
    wait_for(process, f"{name}/{command}/*/run.json", project)
    time.sleep(2)
    process.send_signal(number)
    _, said = process.communicate(timeout=200)
    assert process.returncode == CODES[number], said
    assert "Traceback" not in said
    assert find_run(f"latest:{command}", project / "outputs").status == "interrupted"


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_is_no_failure(project):
    process = rex(project, "show")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""


@pytest.mark.parametrize("closed", [1, 2])
def test_output_that_was_closed_before_is_missed_by_nobody(project, closed):
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m rexcli ls {closed}>&-', sys.executable],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert done.stderr == ""


def test_output_that_finds_no_space_is_one_line(project):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "rexcli", "ls"],
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert "no space is left" in done.stderr
    assert "Traceback" not in done.stderr
