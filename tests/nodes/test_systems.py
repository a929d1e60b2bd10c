"""Systems that come with rex run, and their moving pictures are drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexcli.cli.main import main
from rexcli.runs.view import find_run

ROLLOUT = ("rollout", "rollout.num=4", "rollout.steps=20", "timeline.episodes=2")
RECORD = ("record", "record.steps=20")
"""Takes less than to compile a program with many slots."""

RUNS = {"cartpole": ROLLOUT, "quadrotor": RECORD, "platoon": RECORD}


@pytest.mark.slow
@pytest.mark.parametrize("system", RUNS)
def test_a_system_runs_and_moves(system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*RUNS[system], f"conf={system}", "-q"]) == 0
    run = find_run("latest", Path("outputs")).path
    assert (run / "plots" / f"{system}.gif").stat().st_size > 10_000
    assert "could not be drawn" not in (run / "log.txt").read_text()
