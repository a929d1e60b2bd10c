"""A LeRobot dataset has at each frame what the supervisor knew, whatever the version of the format."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rexcli.imports.logs import read_log
from rexcli.imports.topics import Wanted
from rexcli.runs.exports.lerobot import Version, export_lerobot
from tests.runs.robot import robot, rollouts

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


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


def pixel(png: bytes) -> int:
    import io

    from PIL import Image

    return int(np.asarray(Image.open(io.BytesIO(png)))[0, 0, 0])
