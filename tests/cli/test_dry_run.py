"""A dry run says what would go wrong, and touches no robot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rexcli.cli.main import main

NODES = """
import pathlib
import jax.numpy as jnp
import numpy as np
from rexcli import Node

class Motor(Node):
    jit = False

    def init_output(self, rng, graph_state):
        return jnp.zeros(())

    def startup(self, graph_state, timeout=None):
        pathlib.Path("moved").touch()
        return True

    def step(self, step_state):
        pathlib.Path("moved").touch()
        return step_state, np.float32(0)

    def stop(self, timeout=None):
        pathlib.Path("moved").touch()
        return True

class Brain(Node):
    def init_output(self, rng, graph_state):
        return jnp.zeros(())

    def step(self, step_state):
        value = step_state.inputs["motor"][-1].data
        return step_state, value
"""

CONF = """
defaults: [base, _self_]
name: arm
supervisor: brain
clock: wall
nodes:
  motor: {_target_: nodes.arm.Motor, rate: 50, delay: 0.03}
  brain: {_target_: nodes.arm.Brain, rate: 50, delay: 0.005}
edges:
  motor_brain: {from: motor, to: brain}
  brain_motor: {from: brain, to: motor, skip: true}
"""


@pytest.fixture
def arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "arm.yaml").write_text(CONF)
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes" / "arm.py").write_text(NODES)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_dry_run_starts_and_steps_no_robot_and_leaves_no_run(arm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "conf=arm", "--dry-run", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert not (arm / "moved").exists()
    assert not (arm / "outputs").exists()
    rows = {row["node"]: row for row in said["tables"]["steps, nothing started"]}
    assert rows["motor"]["step ms"] == "not called"
    assert float(rows["brain"]["step ms"]) > 0
    assert any("node 'motor' cannot keep 50 Hz" in warning for warning in said["warnings"])
    assert said["run"] is None


def test_what_it_cannot_check_is_refused(arm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "conf=arm", "clock=simulated", "--dry-run"]) == 2
    assert "--dry-run checks a run on the wall clock; add clock=wall" in capsys.readouterr().err
    assert main(["record", "conf=arm", "seed=1,2", "-m", "--dry-run"]) == 2
    assert "leave out -m" in capsys.readouterr().err
    assert main(["record", "conf=arm", "wall.emulate=true", "--dry-run"]) == 2
    assert "wall.emulate=true: node 'motor' may be a robot's hardware" in capsys.readouterr().err
    assert main(["rollout", "--dry-run"]) == 2
    assert "no such option: --dry-run" in capsys.readouterr().err.lower()
