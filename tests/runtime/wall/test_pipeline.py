"""A recording made in real time compiles, rolls out and trains like any other, and what was trained steps the robot."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rexcli.runs.view import RunView, find_run
from tests.cli.conftest import SMALL_TRAINING

needs_mujoco = pytest.mark.skipif(importlib.util.find_spec("mujoco") is None, reason="needs mujoco, an optional extra")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    rex(folder, "init", ".", "--example", "pendulum")
    return folder


def rex(project: Path, *words: str, code: int = 0) -> str:
    """Runs a command; what it says."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-m", "rexcli.cli.main", *words]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def newest(project: Path, command: str) -> RunView:
    return find_run(f"latest:{command}", project / "outputs")


def go_the_road(project: Path, recording: RunView) -> None:
    """Compiles, rolls out and trains on what was recorded."""
    timeline = recording.timeline()
    origin = f"from={recording.path}"
    rex(project, "compile", "conf=pendulum", origin)
    for name in ("sensor", "agent", "actuator"):
        compiled = newest(project, "compile").timeline().steps[name]
        np.testing.assert_array_equal(compiled.start, timeline.steps[name].start)
        np.testing.assert_array_equal(compiled.end, timeline.steps[name].end)
    rex(project, "rollout", "conf=pendulum", origin, "rollout.num=20")
    rollouts = newest(project, "rollout").arrays("rollouts.npz")
    assert np.isfinite(rollouts["world/state/th"]).all()
    words = [word for word in SMALL_TRAINING if not word.startswith("timeline.")]
    rex(project, "train", "conf=pendulum", origin, "env.seconds=1", *words)
    trained = newest(project, "train")
    assert trained.status == "done"
    assert np.isfinite(trained.results["return mean"])


@pytest.mark.long
@pytest.mark.slow
def test_of_simulated_nodes(project: Path) -> None:
    rex(project, "record", "conf=pendulum", "clock=wall", "record.steps=70")
    recording = newest(project, "record")
    assert recording.results["steps"] == 70
    drawn = {path.stem for path in (recording.path / "plots").iterdir()}
    assert drawn >= {"lateness", "dataflow", "delays", "ages", "trajectories", "pendulum"}
    assert recording.timeline().num_steps.tolist() == [70]
    assert not recording.recording().damaged
    go_the_road(project, recording)


@pytest.mark.slow
@needs_mujoco
def test_of_a_plant_and_the_policy_goes_back_to_it(project: Path) -> None:
    rex(project, "record", "conf=pendulum_real", "record.steps=70", "action.source=random")
    recording = newest(project, "record")
    assert recording.results["steps"] == 70
    go_the_road(project, recording)
    rex(project, "record", "conf=pendulum_real", "policy=latest:train", "record.steps=30")
    deployed = newest(project, "record").recording()
    asked = deployed.values("agent", "output")["action"][0, :30, 0]
    assert (np.abs(asked) <= 2.0).all()
    assert len(set(asked.tolist())) > 10, "the policy decides"
    applied = deployed.values("actuator", "output")["action"][0, :29, 0]
    np.testing.assert_array_equal(applied, asked[: len(applied)])


@pytest.mark.slow
@needs_mujoco
def test_hardware_in_a_program_is_refused_with_what_to_do(project: Path) -> None:
    told = rex(project, "compile", "conf=pendulum_real", code=2)
    assert "node 'sensor' is hardware, which steps on clock=wall alone" in told
    assert "conf=pendulum from=RUN" in told
