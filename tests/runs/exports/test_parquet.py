"""Steps with their values as Parquet and `.npz`: each number is where the timeline has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rexcli.imports.logs import read_log
from rexcli.imports.topics import Wanted
from rexcli.runs.exports.parquet import export_npz, export_parquet
from rexcli.runs.view import RunView
from tests.runs.executions import chain_timeline, events, record
from tests.runs.robot import robot, rollouts
from tests.runs.test_rundir import new_run

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def test_parquet_has_every_step_and_value_of_a_recording(tmp_path: Path) -> None:
    timeline = chain_timeline()
    with new_run(tmp_path, "record") as run, run.recording(timeline.spec) as writer:
        record(writer, timeline, events(timeline))
    assert export_parquet(RunView(run.path), tmp_path / "tables") is None
    assert {file.stem for file in (tmp_path / "tables").iterdir()} == {*timeline.steps, "messages"}
    for name, steps in timeline.steps.items():
        table = parquet.read_table(tmp_path / "tables" / f"{name}.parquet")
        columns = {key: table[key].to_numpy() for key in ("episode", "seq", "ts_start_ns", "ts_end_ns", "state/tick")}
        where = columns["episode"], columns["seq"]
        assert len(table) == steps.count.sum()
        np.testing.assert_array_equal(columns["ts_start_ns"], steps.start[where])
        np.testing.assert_array_equal(columns["ts_end_ns"], steps.end[where])
        np.testing.assert_array_equal(columns["state/tick"], columns["seq"])
        assert table["output"].type == pa.list_(pa.float32(), 2)
    messages = parquet.read_table(tmp_path / "tables" / "messages.parquet").to_pylist()
    assert len(messages) == sum(int(timeline.steps[edge.source].count.sum()) for edge in timeline.spec.edges)
    for row in messages[::7]:
        edge, at = timeline.messages[row["edge"]], (row["episode"], row["seq_out"])
        assert (row["seq_in"], row["ts_recv_ns"]) == (edge.reader[at], edge.arrive[at])
        assert row["ts_sent_ns"] == timeline.steps[row["source"]].end[at]


def test_npz_and_what_is_imported_again_are_the_same(tmp_path: Path) -> None:
    view = rollouts(tmp_path, robot())
    export_parquet(view, tmp_path / "tables")
    export_npz(view, tmp_path / "arrays")
    with np.load(tmp_path / "arrays" / "steps.npz") as steps:
        wanted = Wanted({"output/gyro": None, "seq": None}, {("ts_start_ns", "ns"): None})
        imu = read_log(tmp_path / "tables", {"imu": wanted})["imu"]
        np.testing.assert_array_equal(imu.values["output/gyro"], steps["imu/output/gyro"])
        np.testing.assert_array_equal(imu.stamps["ts_start_ns", "ns"], steps["imu/ts_start_ns"])
        memory = read_log(tmp_path / "tables", {"agent": Wanted({"state/memory": None})})["agent"]
        assert memory.values["state/memory"].shape == (len(steps["agent/seq"]), 2, 3)
