"""Every system that comes with rex runs in a compiled program, and its moving picture is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexcli.cli.main import main
from rexcli.config.project import bundled_systems
from rexcli.runs.view import find_run


@pytest.mark.slow
@pytest.mark.parametrize("system", sorted({*bundled_systems()} - {"pendulum"}))
def test_a_system_rolls_out_and_moves(system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["rollout", f"conf={system}", "rollout.num=4", "rollout.steps=20", "timeline.episodes=2", "-q"]) == 0
    run = find_run("latest", Path("outputs")).path
    assert (run / "plots" / f"{system}.gif").stat().st_size > 10_000
    assert not [line for line in (run / "log.txt").read_text().splitlines() if "could not be drawn" in line]
