"""An experiment says where in a log everything is, and is told in one line where that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexcli.config.project import Project
from tests.imports.conftest import Refused
from tests.imports.foreign import ROBOT, robot_messages, write_bag, write_conf


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
