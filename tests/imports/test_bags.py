"""Bags that other programs wrote become runs; what they do not say is inferred, and told apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rexcli.config.project import Project
from rexcli.timeline.readers import first_readers
from rexcli.timeline.spec import NEVER
from tests.imports.conftest import Import
from tests.imports.foreign import MS, ROBOT, robot_messages, write_bag, write_conf

Refused = Callable[..., str]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_becomes_a_run(imported: Import, tmp_path: Path, storage: str) -> None:
    messages, true = robot_messages()
    run = imported(write_bag(tmp_path / "bag", messages, storage=storage), "conf=robot")
    timeline = run.timeline()
    imu, camera, agent = (timeline.steps[name] for name in ("imu", "camera", "agent"))
    np.testing.assert_array_equal(imu.start[0], true["captured"])
    np.testing.assert_array_equal(imu.end[0], true["captured"])  # no computation delay is declared
    np.testing.assert_array_equal(camera.end[0], true["frames"] + 2 * MS)
    np.testing.assert_array_equal(agent.end[0], true["acted"])
    np.testing.assert_array_equal(agent.start[0], true["acted"] - 4 * MS)
    direct, inferred = timeline.messages["imu_agent"], timeline.messages["camera_agent"]
    np.testing.assert_array_equal(direct.arrive[0], true["received"])
    np.testing.assert_array_equal(inferred.arrive[0], true["frames"] + 8 * MS)
    for edge in timeline.messages.values():
        again = first_readers(edge.arrive, agent.start, agent.count, strictly=False)
        np.testing.assert_array_equal(edge.reader, again)
    recording = run.recording()
    gyro = recording.values("imu", "output")["gyro"][0]
    np.testing.assert_allclose(gyro[:, 1], 0.1 * np.arange(len(gyro)))
    assert recording.values("camera", "output")[""].shape == (1, len(true["frames"]), 2, 2, 3)
    assert (recording.values("camera", "output")[""][0, 7] == 7).all()
    torque = recording.values("agent", "output")["torque"][0]
    assert torque.dtype == np.float64
    np.testing.assert_array_equal(torque[:-1, 0], np.arange(len(torque) - 1))


def test_the_run_says_what_was_measured(imported: Import, tmp_path: Path) -> None:
    messages, _ = robot_messages()
    run = imported(write_bag(tmp_path / "bag", messages), "conf=robot")
    table = run.csv("import.csv")
    rows = {
        (str(of), str(what)): (str(how), str(source)) for of, what, how, source in zip(*table.values(), strict=True)
    }
    assert rows["imu", "step's start"] == ("measured", "header.stamp of /imu/data")
    assert rows["imu", "step's end"] == ("inferred", "start + declared delay 0 s")
    assert rows["agent", "step's end"] == ("measured", "log time of /cmd, not a header stamp")
    assert rows["agent", "step's start"][0] == "inferred"
    assert rows["imu_agent", "arrival"] == ("measured", "log time of /imu/data, not a header stamp")
    assert rows["camera_agent", "arrival"] == ("inferred", "sent + declared delay 0.006 s")
    assert rows["imu_agent", "reader"][0] == "inferred"
    assert rows["agent", "state"][0] == "not in the log"
    assert run.results["measured"] + run.results["inferred"] == sum(how != "not in the log" for how, _ in rows.values())


def test_a_lost_message_has_no_reader(imported: Import, project: Project, tmp_path: Path) -> None:
    """What the reader's recorder did not get, by the sequence numbers of a copy of the topic."""
    messages, true = robot_messages()
    kept = [place for place in range(len(true["captured"])) if place % 7]
    relayed = [message for message in messages if message[0] == "/imu/data"]
    copies = [("/relayed", log + MS, message) for place, (_, log, message) in enumerate(relayed) if place in kept]
    edge = "imu_agent: {topic: /relayed, receive: log, send: header.stamp}"
    write_conf(project.root, ROBOT.replace("imu_agent: {receive: log}", edge))
    run = imported(write_bag(tmp_path / "bag", [*messages, *copies]), "conf=robot")
    found = run.timeline().messages["imu_agent"]
    np.testing.assert_array_equal(np.flatnonzero(found.arrive[0] == NEVER), np.arange(0, len(true["captured"]), 7))
    assert (found.reader[0, ::7] == -1).all()
    np.testing.assert_array_equal(found.arrive[0, kept], np.maximum.accumulate(true["received"][kept] + MS))


def test_a_step_that_waits_starts_with_what_it_waits_for(imported: Import, project: Project, tmp_path: Path) -> None:
    messages, true = robot_messages()
    write_conf(project.root, ROBOT.replace("window: 2", "window: 2, blocking: true").replace(", delay: 0.004", ""))
    run = imported(write_bag(tmp_path / "bag", messages), "conf=robot")
    steps, arrive = run.timeline().steps["agent"], true["received"]
    newest = arrive[np.searchsorted(arrive, true["acted"], side="right") - 1]
    np.testing.assert_array_equal(steps.start[0], newest)


def test_steps_that_overlap_are_cut_and_the_edge_takes_the_rest(
    imported: Import, project: Project, tmp_path: Path
) -> None:
    """A camera whose pictures are sent 90 ms after they were taken, 25 a second."""
    messages, true = robot_messages()
    late = [(topic, log + (81 * MS if topic == "/image" else 0), message) for topic, log, message in messages]
    text = ROBOT.replace("topic: /image, capture: header.stamp", "topic: /image, capture: header.stamp, send: log")
    write_conf(project.root, text.replace("delay: 0.006", "delay: 0.001"))
    run = imported(write_bag(tmp_path / "bag", late), "conf=robot")
    timeline = run.timeline()
    steps = timeline.steps["camera"]
    assert ((steps.end - steps.start)[0, :-1] == 40 * MS).all()
    np.testing.assert_array_equal(timeline.messages["camera_agent"].arrive[0], true["frames"] + 91 * MS)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag(tmp_path_factory.mktemp("half a second") / "bag", robot_messages(0.5)[0])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("/imu/data", "/imu/dta"), "has no topic '/imu/dta'; did you mean '/imu/data'?"),
        (("angular_velocity,", "angular_velocty,"), "has no field 'angular_velocty'; did you mean 'angular_velocity'?"),
        (("up: linear_acceleration.z", "up: header.frame_id"), "field 'header.frame_id' holds no numbers"),
        (("up: linear_acceleration.z", "up: header"), "is a message with stamp, frame_id; name one of these"),
        (("up: linear_acceleration.z", "up: 'a..b[['"), "is no field"),
        (("shape: [2, 2, 3]", "shape: [2, 2]"), "its field has 12 numbers a message"),
        (("dtype: float64", "dtype: flaot"), "give a type of numbers"),
        (("receive: log", "receive: data"), "topic /imu/data (sensor_msgs/msg/Imu) has no field 'data'"),
        (("receive: log", "receive: angular_velocity"), "holds no times"),
        (("    imu: {topic", "    imv: {topic"), "no node is called 'imv'; did you mean 'imu'?"),
        (("imu_agent: {receive", "imu_agnt: {receive"), "no edge is called 'imu_agnt'; did you mean 'imu_agent'?"),
        (("    agent: {topic: /cmd", "    # {topic: /cmd"), "the supervisor must be in the log"),
        (("receive: log", "recieve: log"), "there is no such key; did you mean 'receive'?"),
        (("imu_agent: {receive: log}", "imu_agent: {topic: /cmd, receive: log}"), "pair them by `seq`"),
        (("imu_agent: {receive: log}", "imu_agent: {topic: /cmd}"), "import.edges.imu_agent.receive: is missing"),
        (("receive: log", "receive: log, reader: angular_velocity.x"), "holds no whole numbers"),
        (("capture: header.stamp, output: {field", "capture: log, send: header.stamp, output: {field"), "two clocks"),
        (("topic: /imu/data, ", ""), "has 3 topics; name one of them by `topic`"),
    ],
)
def test_a_mapping_that_does_not_fit_is_one_line(
    refused: Refused, project: Project, bag: Path, change: tuple[str, str], line: str
) -> None:
    assert change[0] in ROBOT
    write_conf(project.root, ROBOT.replace(*change))
    assert line in refused(bag, "conf=robot")


def test_too_few_messages_are_refused(refused: Refused, tmp_path: Path) -> None:
    messages, _ = robot_messages(0.5)
    first = next(place for place, message in enumerate(messages) if message[0] == "/cmd")
    line = refused(write_bag(tmp_path / "bag", messages[: first + 1]), "conf=robot")
    assert "topic /cmd has 1 message of supervisor 'agent' in an episode, which are too few" in line


def test_what_is_no_log_is_refused(refused: Refused, tmp_path: Path) -> None:
    assert "there is no such file" in refused(tmp_path / "nowhere", "conf=robot")
    (tmp_path / "folder").mkdir()
    assert "a folder without metadata.yaml" in refused(tmp_path / "folder", "conf=robot")
    (tmp_path / "log.ulg").write_bytes(b"ULog")
    assert "no log ends with '.ulg'" in refused(tmp_path / "log.ulg", "conf=robot")
    for name in ("log.mcap", "log.db3", "log.parquet", "log.csv"):
        (tmp_path / name).write_bytes(b"\x00\x01 nothing of the kind")
        assert name in refused(tmp_path / name, "conf=robot")


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_truncated_bag_is_refused(refused: Refused, tmp_path: Path, storage: str) -> None:
    messages, _ = robot_messages(0.5)
    bag = write_bag(tmp_path / "bag", messages, storage=storage)
    (file,) = [file for file in bag.iterdir() if file.suffix in (".mcap", ".db3")]
    data = file.read_bytes()
    for share in (0.4, 0.9):
        file.write_bytes(data[: int(share * len(data))])
        assert str(bag) in refused(bag, "conf=robot")
        assert str(file) in refused(file, "conf=robot")
