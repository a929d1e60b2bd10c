"""The doctor looks at everything, whatever is broken, and says what to do."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from rexcli.cli import doctor
from rexcli.cli.main import main
from rexcli.runtime.wall import realtime


def test_it_says_what_it_found_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(realtime, "set_priority", lambda thread, priority: False)
    monkeypatch.setattr(doctor, "SLOW_DISK", 1e15)
    assert main(["doctor", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    found = {row["what"]: row for row in said["tables"]["this machine"]}
    assert set(found) >= {"python", "versions", "devices", "cores", "clock", "sleep", "real-time priority", "disk"}
    warned = {warning.partition(":")[0]: warning for warning in said["warnings"]}
    assert "rex init DIR" in warned["project"]
    assert "MB/s" in warned["disk"]
    if realtime.sys.platform == "linux":
        assert "ulimit -r" in warned["real-time priority"]
        assert "wall.priority=0" in warned["real-time priority"]
    for name, row in found.items():
        assert (row["verdict"] == "ok") == (name not in warned), name
    assert list(tmp_path.iterdir()) == []


def test_one_broken_check_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> doctor.Finding:
        raise ImportError("libcuda.so.1")

    broken.__name__ = "_devices"
    monkeypatch.setattr(doctor, "_devices", broken)
    warnings = doctor.examine().warnings
    assert [each for each in warnings if each.startswith("devices: ImportError: libcuda.so.1")]


def test_every_extra_has_a_purpose_and_a_missing_one_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    project = Path(__file__).parents[2] / "pyproject.toml"
    if project.exists():
        assert set(tomllib.loads(project.read_text())["project"]["optional-dependencies"]) <= set(doctor.PURPOSES)
    monkeypatch.setattr(doctor, "_fits", lambda requirement: requirement.name != "hydra-joblib-launcher")
    rows = {row[0]: row for row in doctor._extras()}
    assert rows["joblib"][2:] == ("hydra-joblib-launcher", "pip install 'rexcli[joblib]'")
    assert rows["optuna"][2:] == ("-", "-")
