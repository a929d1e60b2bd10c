"""The README's commands: `rex identify` finds a pendulum's constants again, and `params=RUN` takes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexcli.cli.main import main
from rexcli.config.compose import compose
from rexcli.config.project import find_project
from rexcli.runs.view import find_run

HIDDEN = "nodes.world.params={inertia: 2.1e-4, damping: 4e-5, motor_constant: 0.03, coulomb_friction: 0.0014}"
FINE = ["conf=pendulum", "nodes.world.rate=200"]


@pytest.mark.slow
def test_hidden_parameters_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", ".", "--example", "pendulum", "--quiet"]) == 0
    wires = ["edges.world_sensor.delay=0.012", "edges.actuator_world.delay=0.018"]
    assert main(["record", "seed=3", "record.steps=600", *FINE, HIDDEN, *wires, "--quiet"]) == 0
    assert main(["identify", "latest:record", *FINE, "--quiet"]) == 0
    run = find_run("latest:identify", find_project().outputs)
    assert run.results["held-out error"] < 0.05
    found = compose("pendulum", ["params=latest:identify"]).nodes["world"].params
    assert found["inertia"] == pytest.approx(2.1e-4, rel=0.02)
    assert found["motor_constant"] == pytest.approx(0.03, rel=0.03)
    table = run.csv("estimates.csv")
    loop = list(table["name"]).index("sum of world_sensor and actuator_world")
    assert (
        0.03 - 0.001 < float(table["estimate"][loop]) < 0.035 + 0.001
    )  # commands wait up to 5 ms for the world's step
    assert table["verdict"][loop] == "identified"
