"""Commands name where NaN came from, and keep what they made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rexcli.cli.main import main

NODES = """
import jax.numpy as jnp
from rexcli import Node

class Tank(Node):
    def init_state(self, rng, graph_state):
        return {"level": jnp.float32(0.5)}

    def step(self, step_state):
        level = step_state.inputs["valve"][-1].data - 0.1 * step_state.seq
        return step_state.replace(state={"level": jnp.sqrt(level)}), jnp.sqrt(level)

class Valve(Node):
    def init_output(self, rng, graph_state):
        return jnp.float32(0.55)

    def step(self, step_state):
        return step_state, jnp.float32(0.55)
"""
CONF = """
defaults: [base, _self_]
name: tank
supervisor: valve
nodes:
  tank: {_target_: nodes.tank.Tank, rate: 20}
  valve: {_target_: nodes.tank.Valve, rate: 10}
edges:
  tank_valve: {from: tank, to: valve}
  valve_tank: {from: valve, to: tank, skip: true}
record: {steps: 8}
rollout: {num: 4}
timeline: {episodes: 2, steps: 8}
"""


@pytest.mark.usefixtures("undrawn")
def test_every_executor_names_the_same_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, text in (("conf/tank.yaml", CONF), ("nodes/tank.py", NODES)):
        (tmp_path / folder).parent.mkdir()
        (tmp_path / folder).write_text(text)
    monkeypatch.chdir(tmp_path)
    for words in (["record", "record.executor=stepper"], ["record", "record.executor=program"], ["rollout"]):
        assert main([words[0], "conf=tank", *words[1:], "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        (warning,) = said["warnings"]
        assert warning.startswith("node 'tank': state.level is NaN in step 6, at 0.3 s of "), words
        record = json.loads((Path(said["run"]) / "run.json").read_text())
        assert record["results"]["nan"] == warning
    assert "NaN in 4 of 4 rollouts" in warning
