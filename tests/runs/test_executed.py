"""What the steps of a run held is given with their times, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexcli.errors import RexError
from rexcli.runs.executed import read_executed
from rexcli.runs.exports.lerobot import export_lerobot
from rexcli.runs.exports.parquet import export_parquet
from tests.runs.robot import robot, rollouts

parquet = pytest.importorskip("pyarrow.parquet")


def test_values_that_have_no_times_are_left_out_or_refused(tmp_path: Path) -> None:
    view = rollouts(tmp_path, robot(), late=0.004)
    assert read_executed(view).values == {}
    assert "rode other delays" in str(export_parquet(view, tmp_path / "tables"))
    assert "output/gyro" not in parquet.read_schema(tmp_path / "tables" / "imu.parquet").names
    with pytest.raises(RexError, match="rode other delays"):
        export_lerobot(view, tmp_path / "set")
    with pytest.raises(RexError, match="is there already"):
        export_parquet(view, tmp_path / "tables")
