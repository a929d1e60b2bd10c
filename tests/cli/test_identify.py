"""`rex identify`: hidden parameters come back from a recording, and serve as `params=RUN`."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexcli.cli.main import main
from rexcli.config.compose import compose
from rexcli.config.project import find_project
from rexcli.runs.view import find_run

HIDDEN = "nodes.world.params={inertia: 2.1e-4, damping: 4e-5, motor_constant: 0.03, coulomb_friction: 0.0014}"
FINE = "nodes.world.rate=200"


@pytest.mark.slow
def test_hidden_parameters_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", ".", "--example", "pendulum", "--quiet"]) == 0
    wires = ["edges.world_sensor.delay=0.012", "edges.actuator_world.delay=0.018"]
    assert main(["record", "seed=3", "record.steps=600", FINE, HIDDEN, *wires, "--quiet"]) == 0
    assert main(["identify", "latest:record", FINE, "identify.optimizer.restarts=2", "--quiet"]) == 0
    run = find_run("latest:identify", find_project().outputs)
    assert run.results["held-out error"] < 0.1
    found = compose("pendulum", ["params=latest:identify"]).nodes["world"].params
    assert found["inertia"] == pytest.approx(2.1e-4, rel=0.02)
    assert found["motor_constant"] == pytest.approx(0.03, rel=0.03)
    capsys.readouterr()
    for word, said in (
        ("identify.signals.sensor.speed={}", "did not send 'speed'"),
        ("identify.nodes.world.inertja={low: 1, high: 2}", "did you mean 'inertia'"),
        ("identify.edges.sensor_world={low: 0, high: 1}", "no edge is called 'sensor_world'"),
    ):
        assert main(["identify", "latest:record", FINE, word]) == 2
        assert said in capsys.readouterr().err
