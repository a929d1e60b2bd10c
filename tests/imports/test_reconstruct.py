"""Bags that other programs wrote become runs; what they do not say is inferred, and told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rexcli.config.project import Project
from rexcli.timeline.reading import first_readers
from tests.imports.conftest import Import, Refused
from tests.imports.foreign import MS, ROBOT, robot_messages, write_bag, write_conf


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


def test_too_few_messages_are_refused(refused: Refused, tmp_path: Path) -> None:
    messages, _ = robot_messages(0.5)
    first = next(place for place, message in enumerate(messages) if message[0] == "/cmd")
    line = refused(write_bag(tmp_path / "bag", messages[: first + 1]), "conf=robot")
    assert "topic /cmd has 1 message of supervisor 'agent' in an episode, which are too few" in line
