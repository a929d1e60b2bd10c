"""Steps with their values as Parquet, `.npz` and a LeRobot dataset: each number is where the timeline has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.imports.logs import read_log
from rexcli.imports.topics import Wanted
from rexcli.runs.executed import read_executed
from rexcli.runs.lerobot import Version, export_lerobot
from rexcli.runs.parquet import export_npz, export_parquet
from rexcli.runs.view import RunView
from rexcli.timeline.arrays import to_arrays
from rexcli.timeline.simulate import simulate
from rexcli.timeline.spec import EdgeTiming, NodeTiming, SystemTiming
from rexcli.timeline.timeline import Timeline
from tests.runs.executions import MS, chain_timeline, events, record
from tests.runs.test_rundir import new_run

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

ROBOT = SystemTiming(
    (NodeTiming("camera", 10.0), NodeTiming("imu", 100.0), NodeTiming("agent", 50.0)),
    (
        EdgeTiming("camera_agent", "camera", "agent", expected_delay=25 * MS),
        EdgeTiming("imu_agent", "imu", "agent", window=3),
    ),
    "agent",
)


def robot() -> Timeline:
    """Two episodes; the camera's first picture comes late."""

    def delays(kind: str, name: str, ticks: int) -> np.ndarray:
        return np.full((2, ticks), 25 * MS if name == "camera_agent" else 2 * MS, np.int64)

    return simulate(ROBOT, delays, episodes=2, steps=20)


def rollouts(root: Path, timeline: Timeline, num: int = 3, late: float = 0.0) -> RunView:
    """A run of `rollout`: each value says of which rollout and tick it is."""
    episode = np.arange(num) % timeline.num_episodes
    arrays: dict[str, Any] = {"episode": episode}
    for name, steps in timeline.steps.items():
        ticks = np.arange(steps.start.shape[1])
        arrays[f"{name}/seq"] = np.where(ticks < steps.count[episode, None], ticks, -1).astype(np.int32)
        arrays[f"{name}/ts"] = (steps.start[episode] / 1e9 + late).astype(np.float32)
    seq = {name: np.maximum(arrays[f"{name}/seq"], 0) for name in timeline.steps}
    of = np.arange(num)[:, None]
    arrays["imu/output/gyro"] = np.stack([1000.0 * of + seq["imu"]] * 3, axis=-1).astype(np.float32)
    arrays["camera/output"] = np.broadcast_to(
        (40 * of + seq["camera"])[..., None, None, None], (*seq["camera"].shape, 4, 5, 3)
    )
    arrays["camera/output"] = arrays["camera/output"].astype(np.uint8)
    arrays["agent/output/torque"] = (10.0 * of - seq["agent"]).astype(np.float64)[..., None]
    arrays["agent/state/memory"] = np.zeros((*seq["agent"].shape, 2, 3), np.float32)
    with new_run(root, "rollout") as run:
        run.write_arrays("timeline.npz", to_arrays(timeline))
        run.write_arrays("rollouts.npz", arrays)
    return RunView(run.path)


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


def test_a_lerobot_dataset_has_at_each_frame_what_the_supervisor_knew(tmp_path: Path) -> None:
    timeline = robot()
    view = rollouts(tmp_path, timeline)
    folder = tmp_path / "set"
    said = export_lerobot(view, folder)
    info = json.loads((folder / "meta" / "info.json").read_text())
    frames = parquet.read_table(folder / "data/chunk-000/file-000.parquet").to_pylist()
    assert (info["codebase_version"], info["fps"], info["total_episodes"]) == ("v3.0", 50, 3)
    assert info["total_frames"] == len(frames) == 3 * (20 - 1)
    assert info["features"]["observation.state"]["names"] == [f"imu.gyro.{axis}" for axis in range(3)]
    assert info["features"]["observation.images.camera"]["shape"] == [4, 5, 3]
    newest = {edge.name: timeline.newest(edge) for edge in timeline.spec.edges}
    steps = timeline.steps["agent"]
    waited = int(np.argmax(newest["camera_agent"][0] >= 0))
    assert said == f"{3 * waited} frames from before the first messages are left out"
    assert waited > 0
    for frame in frames:
        rollout, tick = frame["episode_index"], frame["frame_index"] + waited
        episode = rollout % 2
        imu, camera = newest["imu_agent"][episode, tick], newest["camera_agent"][episode, tick]
        assert frame["observation.state"] == [1000.0 * rollout + imu] * 3
        assert pixel(frame["observation.images.camera"]["bytes"]) == 40 * rollout + camera
        assert frame["action"] == 10.0 * rollout - tick
        assert frame["start_ns"] == steps.start[episode, tick]
        sent = [timeline.steps["camera"].end[episode, camera], timeline.steps["imu"].end[episode, imu]]
        np.testing.assert_allclose(frame["observation.age"], (steps.start[episode, tick] - sent) / 1e9, rtol=1e-5)
        assert frame["timestamp"] == np.float32(frame["frame_index"] / 50)
        assert frame["next.done"] == (tick == steps.count[episode] - 2)  # the last tick has no action
    assert [frame["index"] for frame in frames] == list(range(len(frames)))


def test_a_lerobot_datasets_episodes_and_statistics_are_those_of_its_frames(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    export_lerobot(rollouts(tmp_path, robot()), folder)
    frames = parquet.read_table(folder / "data/chunk-000/file-000.parquet")
    action = frames["action"].to_numpy()
    for row in parquet.read_table(folder / "meta/episodes/chunk-000/file-000.parquet").to_pylist():
        span = slice(row["dataset_from_index"], row["dataset_to_index"])
        assert row["length"] == span.stop - span.start
        assert set(frames["episode_index"].to_numpy()[span]) == {row["episode_index"]}
        assert row["stats/action/max"] == [action[span].max()]
        assert row["tasks"] == ["pendulum"]
    stats = json.loads((folder / "meta/stats.json").read_text())
    np.testing.assert_allclose(stats["action"]["mean"], action.mean(), rtol=1e-5)
    assert np.shape(stats["observation.images.camera"]["mean"]) == (3, 1, 1)
    pandas = pytest.importorskip("pandas")
    tasks = pandas.read_parquet(folder / "meta/tasks.parquet")
    assert tasks.loc["pendulum", "task_index"] == 0


def test_version_2_of_a_lerobot_dataset_has_the_same_frames_and_statistics(tmp_path: Path) -> None:
    view, new, old = rollouts(tmp_path, robot()), tmp_path / "new", tmp_path / "old"
    assert export_lerobot(view, new) == export_lerobot(view, old, version="v2.1")
    info = json.loads((old / "meta/info.json").read_text())
    files = [old / info["data_path"].format(episode_chunk=0, episode_index=number) for number in range(3)]
    frames = parquet.read_table(new / "data/chunk-000/file-000.parquet")
    assert pa.concat_tables(map(parquet.read_table, files)).equals(frames)
    types = json.loads(parquet.read_schema(files[0]).metadata[b"huggingface"])["info"]["features"]
    assert types["observation.images.camera"] == {"_type": "Image"}
    assert types["observation.age"]["length"] == 2
    assert set(types) == set(frames.column_names)
    lines = {
        name: [json.loads(line) for line in (old / f"meta/{name}.jsonl").read_text().splitlines()]
        for name in ("episodes", "episodes_stats", "tasks")
    }
    rows = parquet.read_table(new / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    for row, episode, stats in zip(rows, lines["episodes"], lines["episodes_stats"], strict=True):
        assert episode == {key: row[key] for key in ("episode_index", "tasks", "length")}
        for name, found in stats["stats"].items():
            assert found == {key: row[f"stats/{name}/{key}"] for key in found}
    assert lines["tasks"] == [{"task_index": 0, "task": "pendulum"}]


@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
def test_a_lerobot_dataset_is_imported_again(tmp_path: Path, version: Version) -> None:
    folder = tmp_path / "set"
    export_lerobot(rollouts(tmp_path, robot()), folder, version=version)
    wanted = Wanted({"observation.state[imu.gyro.1]": None, "action": None}, {("start_ns", "ns"): None})
    frames = read_log(folder, {"frames": wanted})["frames"]
    table = pa.concat_tables(map(parquet.read_table, sorted((folder / "data/chunk-000").iterdir())))
    np.testing.assert_array_equal(frames.values["action"], table["action"].to_numpy())
    np.testing.assert_array_equal(frames.stamps["start_ns", "ns"], table["start_ns"].to_numpy())


def test_values_that_have_no_times_are_left_out_or_refused(tmp_path: Path) -> None:
    view = rollouts(tmp_path, robot(), late=0.004)
    assert read_executed(view).values == {}
    assert "rode other delays" in str(export_parquet(view, tmp_path / "tables"))
    assert "output/gyro" not in parquet.read_schema(tmp_path / "tables" / "imu.parquet").names
    with pytest.raises(RexError, match="rode other delays"):
        export_lerobot(view, tmp_path / "set")
    with pytest.raises(RexError, match="is there already"):
        export_parquet(view, tmp_path / "tables")


def pixel(png: bytes) -> int:
    import io

    from PIL import Image

    return int(np.asarray(Image.open(io.BytesIO(png)))[0, 0, 0])
