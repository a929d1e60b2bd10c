"""Records lie in the file where any reader of ROS 2 bags finds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from rexcli.runs.recording import RecordingWriter
from rexcli.timeline.spec import NEVER, EdgeTiming, NodeTiming, SystemTiming
from tests.runs.executions import CHAIN, chain_timeline, recorded

NONE = np.zeros((0, 2), np.float32)


def test_readers_of_ros_2_bags_decode_it(tmp_path: Path) -> None:
    path = tmp_path / "recording.mcap"
    with RecordingWriter(path, CHAIN) as writer:
        values = {
            "state": {"th": np.float32(np.nan), "m": np.arange(6.0).reshape(2, 3), "on": np.array(True), "none": NONE},
            "output": {"": np.float64(-np.inf), "Pose x-1": np.int8(-3), "pose_x_1": np.float16(0.5)},
        }
        writer.step(0, "sensor", 0, 5, 9, values)
        writer.message(0, "sensor_agent", 0, 9, NEVER, -1)
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        read = {channel.topic: (message, decoded) for _, channel, message, decoded in reader.iter_decoded_messages()}
    message, step = read["/sensor"]
    assert np.isnan(step.state.th)
    assert (list(step.state.m), step.state.on) == ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], True)
    assert not hasattr(step.state, "none")
    assert {name: getattr(step.output, name) for name in type(step.output).__slots__} == {
        "field": -np.inf,
        "pose_x_1": -3,
        "pose_x_1_2": 0.5,
    }
    assert (step.episode, step.seq, step.ts_start, step.ts_end) == (0, 0, 5, 9)
    assert (message.log_time, message.sequence) == (9, 0)
    assert (read["/sensor/agent"][1].ts_recv, read["/sensor/agent"][1].reader) == (-1, -1)


def test_parallel_edges_have_topics_of_their_own(tmp_path: Path) -> None:
    nodes = (NodeTiming("a", 10.0), NodeTiming("b", 10.0))
    spec = SystemTiming(nodes, (EdgeTiming("one", "a", "b"), EdgeTiming("two", "a", "b")), "b")
    path = tmp_path / "recording.mcap"
    with RecordingWriter(path, spec) as writer:
        for edge in ("one", "two"):
            writer.message(0, edge, 0, 1, 2, -1)
    with path.open("rb") as file:
        assert {channel.topic for _, channel, _ in make_reader(file).iter_messages()} == {"/a/b/one", "/a/b/two"}


def test_episodes_lie_one_after_another_on_the_time_axis(tmp_path: Path) -> None:
    timeline = chain_timeline(episodes=3)
    path = recorded(tmp_path / "recording.mcap", timeline)
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        logged = [(step.episode, message.log_time) for *_, message, step in reader.iter_decoded_messages("/agent")]
    assert logged == sorted(logged)
    assert len(set(logged)) == int(timeline.steps["agent"].count.sum())
