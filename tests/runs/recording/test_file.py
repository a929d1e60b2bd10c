"""A file is read as far as it is whole, and what is wrong with it is said by its name."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import NonSeekingReader, make_reader
from mcap.writer import Writer

from rexcli.errors import RexError
from rexcli.runs.recording import RecordingWriter, read_recording, repair
from rexcli.timeline.timeline import Timeline
from tests.runs.executions import CHAIN, assert_prefix, assert_same, attempt, chain_timeline, events, record, recorded
from tests.runs.recording.test_json_records import GIANT_LAYOUT, OBJECT_LAYOUT


@cache
def flushed_often() -> tuple[bytes, Timeline]:
    """A recording in many chunks, as a killed writer leaves it, and what it records."""
    timeline = chain_timeline(episodes=2, steps=10)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.mcap")
        writer = RecordingWriter(path, timeline.spec, interval=60)
        done = events(timeline)
        for start in range(0, len(done), 20):
            record(writer, timeline, done[start : start + 20])
            writer.flush()
        data = path.read_bytes()
        writer.close(complete=False)
    return data, timeline


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1))
def test_a_file_cut_at_any_byte_gives_its_whole_chunks(share: float) -> None:
    data, timeline = flushed_often()
    length = int(share * len(data))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.mcap")
        path.write_bytes(data[:length])
        cut = attempt(lambda: read_recording(path).timeline())
        if isinstance(cut, str):
            assert cut.startswith(str(path))
            assert share < 0.3
            return
        assert_prefix(cut, timeline)
        recording = read_recording(path)
        counts = {node.name: recording.counts(node.name).tolist() for node in CHAIN.nodes}

        repair(path, Path(folder, "whole.mcap"))
        again = read_recording(Path(folder, "whole.mcap"))
        assert {node.name: again.counts(node.name).tolist() for node in CHAIN.nodes} == counts
        assert_same(again.timeline(), cut)
        with Path(folder, "whole.mcap").open("rb") as file:
            summary = make_reader(file, validate_crcs=True).get_summary()
        assert summary is not None
        assert summary.statistics is not None
        assert summary.statistics.message_count >= sum(map(sum, counts.values()))


def test_the_public_stream_reader_gives_the_whole_chunks_of_a_cut_file() -> None:
    data, _ = flushed_often()
    with tempfile.TemporaryFile() as file:
        file.write(data[: len(data) // 2])
        file.seek(0)
        seen = []
        with pytest.raises(Exception, match=r".*"):
            seen.extend(message for _, _, message in NonSeekingReader(file).iter_messages(log_time_order=False))
        assert len(seen) >= 20


def everything(path: Path) -> None:
    recording = read_recording(path)
    recording.timeline()
    for node in recording.spec.nodes:
        for field in recording.fields(node.name):
            recording.values(node.name, field)


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255), st.booleans())
def test_a_damaged_file_never_raises_anything_but_a_message_that_names_it(
    share: float, flip: int, from_the_end: bool
) -> None:
    data = bytearray(flushed_often()[0])
    index = int(share * (len(data) if from_the_end else 1500))
    data[index] ^= flip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.mcap")
        path.write_bytes(data)
        said = attempt(lambda: everything(path))
        assert said is None or str(path) in said


def relabelled(path: Path, data: bytes, **metadata: str) -> Path:
    """A recording in CDR from a stranger: one message of `agent`, and what its channel says of it."""
    with tempfile.TemporaryDirectory() as folder:
        honest = recorded(Path(folder, "r.mcap"), chain_timeline(episodes=1, steps=1))
        with honest.open("rb") as file:
            reader = make_reader(file)
            about = next(record for record in reader.iter_metadata() if record.name == "rex").metadata
            _, channel, message = next(reader.iter_messages("/agent"))
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start()
        writer.add_metadata("rex", about)
        schema = writer.register_schema("x", "ros2msg", b"")
        number = writer.register_channel("/agent", "cdr", schema, {**channel.metadata, **metadata})
        writer.add_message(number, 0, message.data + data if data != b"none" else b"", 0)
        writer.finish()
    return path


@pytest.mark.parametrize(
    ("data", "metadata"),
    [
        (b"\0", {}),
        (b"none", {}),
        (b"", {"layout": "{}"}),
        (b"", {"layout": OBJECT_LAYOUT}),
        (b"", {"layout": GIANT_LAYOUT}),
        (b"", {"layout": GIANT_LAYOUT.replace("1000000", "-1")}),
        (b"", {"layout": "[" * 100_000}),
    ],
)
def test_a_strangers_bytes_are_refused_by_name(tmp_path: Path, data: bytes, metadata: dict[str, str]) -> None:
    fine = read_recording(relabelled(tmp_path / "fine.mcap", b""))
    np.testing.assert_array_equal(fine.values("agent", "output")[""], np.full((1, 1, 2), 0.1, np.float32))
    path = relabelled(tmp_path / "forged.mcap", data, **metadata)
    with pytest.raises(RexError, match=r"forged\.mcap"):
        read_recording(path).values("agent", "output")


@pytest.mark.parametrize("data", [b"", b"\x89MCAP0\r\n", b"PK\x03\x04 something else altogether", b"\x89MCAP0\r\n" * 9])
def test_what_is_no_recording_is_refused_by_name(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "r.mcap").write_bytes(data)
    with pytest.raises(RexError, match=r"r\.mcap: damaged"):
        read_recording(tmp_path / "r.mcap")
    with pytest.raises(RexError, match=r"nowhere\.mcap: cannot be read"):
        read_recording(tmp_path / "nowhere.mcap")


def test_another_programs_mcap_is_refused_by_name(tmp_path: Path) -> None:
    with (tmp_path / "r.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start()
        writer.finish()
    with pytest.raises(RexError, match=r"r\.mcap: an MCAP file, but no recording"):
        read_recording(tmp_path / "r.mcap")
