"""Images lie in the recording as viewers show them, and come back as the arrays that they were."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap.writer import Writer
from mcap_ros2.decoder import DecoderFactory

from rexcli.errors import RexError
from rexcli.runs.recording import RecordingWriter, read_recording, repair
from rexcli.timeline.spec import EdgeTiming, NodeTiming, SystemTiming
from tests.runs.executions import attempt

EYE = SystemTiming(
    (NodeTiming("eye", 10.0), NodeTiming("output", 10.0)), (EdgeTiming("seen", "eye", "output"),), "output"
)
CHANNELS = {(): "mono8", (1,): "mono8", (3,): "rgb8", (4,): "rgba8"}
FRAME = (48, 64, 3)


def write(path: Path, ticks: int, shape: tuple[int, ...], episodes: int = 1, flush: bool = False) -> dict[str, Any]:
    """Records an eye whose output is an image and whose state is one beside numbers; returns what it recorded."""
    rng = np.random.default_rng(0)
    sent = {
        "output": rng.integers(0, 256, (episodes, ticks, *shape), np.uint8),
        "image": rng.integers(0, 256, (episodes, ticks, 8, 9), np.uint8),
        "gain": rng.normal(size=(episodes, ticks)),
    }
    with RecordingWriter(path, EYE, interval=60) as writer:
        for episode, tick in np.ndindex(episodes, ticks):
            start = tick * 100_000_000
            writer.message(episode, "seen", tick, start + 5, start + 7, tick)
            state = {"image": sent["image"][episode, tick], "gain": sent["gain"][episode, tick]}
            fields = {"state": state, "output": {"": sent["output"][episode, tick]}}
            writer.step(episode, "eye", tick, start, start + 5, fields)
            writer.step(episode, "output", tick, start + 8, start + 9, {})
            if flush:
                writer.flush()
        assert writer.failed is None
        if flush:
            sent["killed"] = path.read_bytes()
    return sent


def assert_read(path: Path, sent: dict[str, Any], ticks: int | None = None) -> None:
    recording = read_recording(path)
    state, output = recording.values("eye", "state"), recording.values("eye", "output")
    for read, written in ((output[""], "output"), (state["image"], "image"), (state["gain"], "gain")):
        assert read.dtype == sent[written].dtype
        np.testing.assert_array_equal(read, sent[written][:, :ticks])


@settings(max_examples=6, deadline=None)
@given(
    st.tuples(st.integers(8, 20), st.integers(8, 20)), st.sampled_from(list(CHANNELS)), st.integers(1, 4), st.booleans()
)
def test_strangers_and_this_reader_give_the_image_that_was_sent(
    size: tuple[int, int], channels: tuple[int, ...], ticks: int, repaired: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.mcap")
        sent = write(path, ticks, (*size, *channels), episodes=2)
        if repaired:
            repair(path)
        assert_read(path, sent)
        timeline = read_recording(path).timeline()
        assert timeline.steps["eye"].count.tolist() == [ticks, ticks]
        with path.open("rb") as file:
            reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
            whole = list(reader.iter_decoded_messages())
    steps = [(message.log_time, decoded) for _, channel, message, decoded in whole if channel.topic == "/eye"]
    for topic, field in (("/eye/output_2", "output"), ("/eye/state/image", "image")):  # /eye/output is the edge's
        found = [each for each in whole if each[1].topic == topic]
        for k, (schema, _, message, image) in enumerate(found):
            assert (schema.name, schema.encoding) == ("sensor_msgs/msg/Image", "ros2msg")
            assert (message.log_time, message.sequence) == (steps[k][0], steps[k][1].seq)
            stamp = image.header.stamp.sec * 10**9 + image.header.stamp.nanosec
            assert stamp == message.log_time - steps[k][1].ts_end + steps[k][1].ts_start
            array = sent[field].reshape(-1, *sent[field].shape[2:])[k]
            assert image.encoding == (CHANNELS[channels] if field == "output" else "mono8")
            assert (image.height, image.width, image.step) == (*array.shape[:2], array[0].size)
            assert (image.header.frame_id, image.is_bigendian) == ("eye", 0)
            assert bytes(image.data) == array.tobytes()
        assert len(found) == 2 * ticks
    assert not hasattr(steps[0][1], "output")
    assert steps[0][1].state.gain == sent["gain"][0, 0]


def test_what_is_no_image_stays_with_its_step(tmp_path: Path) -> None:
    values = {
        "table": np.zeros((7, 40), np.uint8),
        "two": np.zeros((9, 9, 2), np.uint8),
        "depth": np.zeros((9, 9), np.uint16),
        "stack": np.zeros((2, 9, 9, 3), np.uint8),
    }
    with RecordingWriter(tmp_path / "r.mcap", EYE) as writer:
        writer.step(0, "eye", 0, 0, 1, {"output": values})
    with (tmp_path / "r.mcap").open("rb") as file:
        assert {channel.topic for _, channel, _ in make_reader(file).iter_messages()} == {"/eye"}
    read = read_recording(tmp_path / "r.mcap").values("eye", "output")
    assert {name: (array.dtype, array.shape[2:]) for name, array in read.items()} == {
        name: (array.dtype, array.shape) for name, array in values.items()
    }


def test_an_image_that_changes_its_size_is_refused_when_read_as_one(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "r.mcap", EYE) as writer:
        for tick, height in enumerate((8, 9)):
            writer.step(0, "eye", tick, tick, tick, {"output": {"": np.full((height, 8), tick, np.uint8)}, "state": {}})
    recording = read_recording(tmp_path / "r.mcap")
    assert recording.counts("eye").tolist() == [2]
    with pytest.raises(RexError, match="output of node 'eye' changes its structure"):
        recording.values("eye", "output")


@cache
def killed() -> tuple[bytes, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        sent = write(Path(folder, "r.mcap"), 8, FRAME, flush=True)
        sent["whole"] = Path(folder, "r.mcap").read_bytes()
    return sent["killed"], sent


@settings(max_examples=25, deadline=None)
@given(st.floats(0.2, 1))
def test_a_file_cut_at_any_byte_gives_steps_with_their_images(share: float) -> None:
    data, sent = killed()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.mcap")
        path.write_bytes(data[: int(share * len(data))])
        ticks = int(read_recording(path).counts("eye")[0])
        assert ticks >= int(share * 8) - 1
        assert_read(path, sent, ticks)
        repair(path)
        assert_read(path, sent, ticks)


def test_a_timeline_is_read_without_its_images(tmp_path: Path) -> None:
    """Images that are damaged are no matter until they are asked for; numbers beside them are read as ever."""
    path = tmp_path / "r.mcap"
    sent = write(path, 4, FRAME)
    data = bytearray(path.read_bytes())
    with path.open("rb") as file:
        summary = make_reader(file).get_summary()
    assert summary is not None
    largest = max(summary.chunk_indexes, key=lambda chunk: chunk.compressed_size)
    data[largest.chunk_start_offset + largest.chunk_length // 2] ^= 1
    path.write_bytes(data)
    recording = read_recording(path)
    assert recording.timeline().steps["eye"].count.tolist() == [4]
    (gain,) = [leaf for leaf in recording.leaves("eye", "state") if leaf.path == "gain"]
    found = [each.leaves[gain] for each in recording.records({"eye": [gain]})]
    np.testing.assert_array_equal(np.concatenate(found), sent["gain"][0])
    said = attempt(lambda: recording.values("eye", "output"))
    assert said is not None
    assert said.startswith(f"{path}: damaged")


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_damaged_file_gives_a_message_that_names_it_or_what_was_sent(share: float, flip: int) -> None:
    whole, sent = killed()[1]["whole"], killed()[1]
    data = bytearray(whole)
    data[int(share * len(data))] ^= flip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.mcap")
        path.write_bytes(data)
        said = attempt(lambda: read_recording(path).values("eye", "output")[""])
    if isinstance(said, str):
        assert str(path) in said
    else:
        assert np.isin(said.sum((2, 3, 4)), [0, *sent["output"].sum((2, 3, 4)).tolist()[0]]).all()


def test_recordings_of_before_images_had_channels_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rexcli.runs.recording.writer.images_of", lambda leaves: ())
    sent = write(tmp_path / "now.mcap", 3, FRAME)
    with (tmp_path / "now.mcap").open("rb") as source, (tmp_path / "old.mcap").open("wb") as target:
        reader, writer = make_reader(source), Writer(target)
        writer.start()
        for each in reader.iter_metadata():
            writer.add_metadata(each.name, {**each.metadata, **({"format": "2"} if each.name == "rex" else {})})
        channels: dict[int, int] = {}
        for schema, channel, message in reader.iter_messages():
            assert schema is not None
            if channel.id not in channels:
                metadata = dict(channel.metadata)
                if "layout" in metadata:
                    layout = json.loads(metadata["layout"])
                    assert layout.pop("images") == []
                    metadata["layout"] = json.dumps(layout)
                number = writer.register_schema(schema.name, schema.encoding, schema.data)
                channels[channel.id] = writer.register_channel(channel.topic, "cdr", number, metadata)
            writer.add_message(
                channels[channel.id], message.log_time, message.data, message.publish_time, message.sequence
            )
        writer.finish()
    assert_read(tmp_path / "old.mcap", sent)
