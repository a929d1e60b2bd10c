"""What a recording is worth after a kill, a full disk, a broken file, and in a stranger's hands."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mcap.reader import NonSeekingReader, make_reader
from mcap.writer import Writer
from mcap_ros2.decoder import DecoderFactory

from rexcli.errors import RexError, WriteError
from rexcli.runs.recording import RecordingWriter, read_recording, repair
from rexcli.runs.recording import writer as writer_module
from rexcli.timeline.simulate import simulate
from rexcli.timeline.spec import NEVER, NodeTiming, SystemTiming
from rexcli.timeline.timeline import Timeline
from tests.runs.executions import CHAIN, assert_same, attempt, chain_timeline, events, record, recorded
from tests.timeline.systems import Delays, cases

WRITE_FOREVER = """
import sys, time
from rexcli.runs.recording import RecordingWriter
from tests.runs.executions import chain_timeline, events, record
timeline = chain_timeline(episodes=40, steps=100)
with RecordingWriter(sys.argv[1], timeline.spec) as writer:
    writer.flush()
    print(writer._process.pid, flush=True)
    for event in events(timeline):
        record(writer, timeline, [event])
        print(event[0], event[1], flush=True)
        time.sleep(float(sys.argv[2]))
"""


def assert_prefix(cut: Timeline, whole: Timeline) -> None:
    """`cut` is a valid timeline and agrees with `whole` as far as it goes."""
    episodes = cut.num_episodes
    assert 1 <= episodes <= whole.num_episodes
    last = cut.steps[cut.spec.supervisor].start[np.arange(episodes), cut.num_steps]
    for name, steps in cut.steps.items():
        original = whole.steps[name]
        if name == cut.spec.supervisor:
            assert (steps.count <= original.count[:episodes]).all()
        else:
            np.testing.assert_array_equal(steps.count, (original.start[:episodes] <= last[:, None]).sum(axis=1))
        there = np.arange(steps.start.shape[1]) < steps.count[:, None]
        for part in ("start", "end"):
            expected = getattr(original, part)[:episodes, : steps.start.shape[1]]
            np.testing.assert_array_equal(getattr(steps, part), np.where(there, expected, NEVER))
    for edge in cut.spec.edges:
        messages, original_messages = cut.messages[edge.name], whole.messages[edge.name]
        source, target = cut.steps[edge.source], cut.steps[edge.target]
        width = source.start.shape[1]
        there = np.arange(width) < source.count[:, None]
        reader = original_messages.reader[:episodes, :width]
        read = there & (reader >= 0) & (reader < target.count[:, None])
        np.testing.assert_array_equal(messages.reader, np.where(read, reader, -1))
        expected = np.where(there, original_messages.arrive[:episodes, :width], NEVER)
        np.testing.assert_array_equal(messages.arrive, expected)


@settings(max_examples=25, deadline=None)
@given(cases(largest=5), st.integers(1, 2), st.integers(1, 8), st.floats(0, 1), st.booleans())
def test_an_execution_cut_anywhere_leaves_a_shorter_timeline(
    case: tuple[SystemTiming, Delays], episodes: int, steps: int, share: float, all_of_it: bool
) -> None:
    spec, delays = case
    try:
        delays = replace(delays, episodes=tuple(range(episodes)))
        timeline = simulate(spec, delays, episodes=episodes, steps=steps)
    except RexError as refusal:
        assume("infinitely fast" not in str(refusal))
        raise
    done = events(timeline)
    done = done if all_of_it else done[: int(share * len(done))]
    with tempfile.TemporaryDirectory() as folder:
        recording = read_recording(recorded(Path(folder, "r.mcap"), timeline, done, complete=False))
        assert not recording.complete
    cut = attempt(recording.timeline)
    if isinstance(cut, str):
        assert "not one whole step of supervisor" in cut
    else:
        assert_prefix(cut, timeline)


def ticks_left(path: Path, rate: float, done: list[tuple[str, int]]) -> list[int]:
    """Ticks that the timeline keeps of supervisor `a` at 10 Hz and of `b`, of which all ran on time in no time."""
    spec = SystemTiming((NodeTiming("a", 10.0), NodeTiming("b", rate)), (), "a")
    with RecordingWriter(path, spec) as writer:
        for node, tick in done:
            start = round(tick * 1e9 / spec.node(node).rate)
            writer.step(0, node, tick, start, start, {})
        writer.close(complete=False)
    timeline = read_recording(path).timeline()
    return [int(timeline.steps[node].count[0]) for node in "ab"]


def test_a_tick_of_the_same_instant_may_be_missing(tmp_path: Path) -> None:
    done = [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2)]
    assert ticks_left(tmp_path / "r.mcap", 10.0, done) == [2, 2]
    assert ticks_left(tmp_path / "r.mcap", 10.0, [*done, ("b", 2)]) == [3, 3]


def test_a_slow_node_that_is_not_yet_due_costs_nothing(tmp_path: Path) -> None:
    done = [("a", 0), ("b", 0), ("a", 1), ("a", 2), ("a", 3), ("a", 4)]
    assert ticks_left(tmp_path / "r.mcap", 2.0, done) == [5, 1]
    assert ticks_left(tmp_path / "r.mcap", 2.0, [*done, ("a", 5), ("a", 6)]) == [5, 1]


def test_an_episode_of_which_no_step_was_recorded_costs_nothing(tmp_path: Path) -> None:
    timeline = chain_timeline(episodes=2)
    first = [event for event in events(timeline) if event[0] == 0]
    after = [event for event in events(timeline) if event[0] == 1][:1]
    assert after[0][2] == 0
    recording = read_recording(recorded(tmp_path / "r.mcap", timeline, first + after, complete=False))
    assert_same(recording.timeline(), timeline.select([0]))


def test_an_interrupted_execution_keeps_nearly_all(tmp_path: Path) -> None:
    timeline = chain_timeline(episodes=2, steps=50)
    done = events(timeline)
    cut = read_recording(recorded(tmp_path / "r.mcap", timeline, done[:-40], complete=False)).timeline()
    assert_prefix(cut, timeline)
    assert cut.num_steps.tolist()[0] == 50
    assert cut.num_steps.tolist()[1] >= 40


def kill_while_writing(path: Path, moment: float, pause: float, alone: bool) -> tuple[int, int]:
    """Runs a recorder, kills it, and returns the last event that was noted some time before: `(episode, start)`.

    That is 0.8 s; 1.5 s where both are killed, since on a busy machine the other may be late by more than the rest.

    Args:
        alone: the process that writes for it is not killed with it, and has time to end by itself.
    """
    command = [sys.executable, "-c", WRITE_FOREVER, str(path), str(pause)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        writer = int(process.stdout.readline())
        end = time.monotonic() + moment
        noted = [(time.monotonic(), -1, -1)]
        while time.monotonic() < end:
            episode, start = process.stdout.readline().split()
            noted.append((time.monotonic(), int(episode), int(start)))
        if not alone:
            os.kill(writer, signal.SIGKILL)
        os.kill(process.pid, signal.SIGKILL)
        killed = time.monotonic()
        process.stdout.read()
    assert process.returncode == -signal.SIGKILL
    wait_for_the_end_of(writer)
    return [event[1:] for event in noted if event[0] < killed - (0.8 if alone else 1.5) or event[1] < 0][-1]


def wait_for_the_end_of(process: int) -> None:
    """Of one that is not this one's child; one that ended and that nobody buries is over too."""
    deadline = time.monotonic() + 30
    status = Path(f"/proc/{process}/stat")
    with suppress(FileNotFoundError, ProcessLookupError):
        while status.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline, "the process that writes does not end"
            time.sleep(0.01)


def check_killed(path: Path, last: tuple[int, int]) -> None:
    """The file opens everywhere and misses at most the last second."""
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        seen = [decoded for *_, decoded in reader.iter_decoded_messages()]
    recording = read_recording(path)
    assert (recording.complete, recording.damaged) == (False, False)
    steps = [(step.episode, step.ts_start) for step in seen if hasattr(step, "ts_start")]
    assert max(steps, default=(-1, -1)) >= last
    if len(steps) > 100:
        assert_prefix(recording.timeline(), chain_timeline(episodes=40, steps=100))


def check_finished(path: Path) -> None:
    """The file has its index, and the end that says that the execution has none."""
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        assert reader.get_summary() is not None
        assert [part.metadata for part in reader.iter_metadata() if part.name == "rex.end"] == [{"complete": "false"}]


def test_of_a_killed_recorder_the_writer_finishes_the_file(tmp_path: Path) -> None:
    last = kill_while_writing(tmp_path / "r.mcap", 1.6, 0.0005, alone=True)
    assert last > (-1, -1)
    check_killed(tmp_path / "r.mcap", last)
    check_finished(tmp_path / "r.mcap")


def test_a_recorder_killed_with_its_writer_leaves_a_file_that_every_reader_opens(tmp_path: Path) -> None:
    last = kill_while_writing(tmp_path / "r.mcap", 3.0, 0.0005, alone=False)
    assert last > (-1, -1)
    check_killed(tmp_path / "r.mcap", last)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_recorder_killed_at_any_moment(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    alone = seed % 2 == 0
    last = kill_while_writing(tmp_path / "r.mcap", rng.uniform(0, 2.5), rng.choice([0.0, 0.0005, 0.02]), alone)
    check_killed(tmp_path / "r.mcap", last)
    if alone:
        check_finished(tmp_path / "r.mcap")


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


def forged(path: Path, step: dict[str, object] | None = None, **metadata: str) -> Path:
    """A recording from a stranger, in the JSON of earlier versions: one step of `agent`, which says what it likes."""
    with tempfile.TemporaryDirectory() as folder:
        honest = recorded(Path(folder, "r.mcap"), chain_timeline(episodes=1, steps=1))
        with honest.open("rb") as file:
            about = next(record for record in make_reader(file).iter_metadata() if record.name == "rex").metadata
    layout = {"fields": ["output"], "leaves": [{"field": "output", "path": "", "dtype": "float32", "shape": [2]}]}
    message = {"episode": 0, "seq": 0, "ts_start": 0, "ts_end": 1, "output": [1, 2], **(step or {})}
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start()
        told = {key: value for key, value in metadata.items() if key in about}
        writer.add_metadata("rex", {**about, "format": "1", **told})
        channel = {"kind": "node", "name": "agent", "layout": json.dumps(layout), **metadata}
        schema = writer.register_schema("x", "jsonschema", b"{}")
        writer.add_message(
            writer.register_channel("/agent", "json", schema, channel), 0, json.dumps(message).encode(), 0
        )
        writer.finish()
    return path


OBJECT_LAYOUT = '{"fields": ["output"], "leaves": [{"field": "output", "path": "", "dtype": "object", "shape": []}]}'
GIANT_LAYOUT = OBJECT_LAYOUT.replace("object", "int8").replace("[]}", "[1000000, 1000000]}")


@pytest.mark.parametrize(
    ("step", "metadata"),
    [
        ({"output": [1]}, {}),
        ({"output": {"a": 1}}, {}),
        ({"output": ["x", "y"]}, {}),
        ({"output": None}, {}),
        ({"seq": "zero"}, {}),
        ({"seq": 2**80}, {}),
        ({"episode": 10**9}, {}),
        ({}, {"layout": "{}"}),
        ({}, {"layout": "[" * 100_000}),
        ({}, {"layout": OBJECT_LAYOUT}),
        ({}, {"layout": GIANT_LAYOUT}),
        ({}, {"spec": "{}"}),
        ({}, {"spec": "null"}),
        ({}, {"info": "[1]"}),
        ({}, {"format": "4"}),
    ],
)
def test_a_strangers_recording_is_refused_by_name(
    tmp_path: Path, step: dict[str, object], metadata: dict[str, str]
) -> None:
    assert forged(tmp_path / "fine.mcap").exists()
    np.testing.assert_array_equal(read_recording(tmp_path / "fine.mcap").values("agent", "output")[""], [[[1, 2]]])
    path = forged(tmp_path / "forged.mcap", step, **metadata)
    with pytest.raises(RexError, match=r"forged\.mcap"):
        read_recording(path).values("agent", "output")


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


def test_times_that_run_backwards_are_refused(tmp_path: Path) -> None:
    path = forged(tmp_path / "r.mcap", {"ts_start": 5, "ts_end": 1})
    with pytest.raises(RexError, match=r"r\.mcap: damaged: the steps of node 'agent' go back in time"):
        read_recording(path).timeline()


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


class FullDisk:
    """Stands in for `os` where files are written: after so many bytes, the disk is full."""

    def __init__(self, room: int):
        self.room = room

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)

    def pwrite(self, handle: int, data: bytes, offset: int) -> int:
        fits = max(0, min(len(data), self.room - offset))
        if data and not fits:
            raise OSError(28, "No space left on device")
        return os.pwrite(handle, bytes(data[:fits]), offset)


@pytest.mark.parametrize("room", [5000, 20_000, 40_000])
def test_a_full_disk_ends_the_recording_and_not_the_caller(
    tmp_path: Path, room: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    timeline = chain_timeline(episodes=10, steps=50)
    monkeypatch.setattr("rexcli.runs.recording.appender.os", FullDisk(room))
    path = tmp_path / "r.mcap"
    with RecordingWriter(path, timeline.spec) as writer:
        for episode in range(10):
            record(writer, timeline, [event for event in events(timeline) if event[0] == episode])
            writer.flush()
    assert writer.failed is not None
    assert "recording stopped: No space left on device" in writer.failed
    assert str(path) in writer.failed
    assert [entry.message for entry in caplog.records] == [writer.failed]
    monkeypatch.undo()

    recording = read_recording(path)
    assert (recording.complete, recording.damaged) == (False, False)
    if room > 5000:
        assert_prefix(recording.timeline(), timeline)


def test_a_device_that_takes_nothing_is_reported_at_once() -> None:
    with RecordingWriter("/dev/full", CHAIN) as writer:
        writer.flush()
        assert writer.failed is not None
        writer.step(0, "agent", 0, 0, 0, {})
        writer.flush()
    assert "No space left on device" in writer.failed


def test_a_disk_that_is_full_before_the_recording_begins_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer_module.os, "open", full)
    with pytest.raises(WriteError, match=r"r.mcap: no space is left; make room there"):
        RecordingWriter(tmp_path / "r.mcap", CHAIN)


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RexError, match="cannot be written: No such file or directory"):
        RecordingWriter(tmp_path / "missing" / "r.mcap", CHAIN)


def test_records_reach_the_file_while_nothing_more_happens(tmp_path: Path) -> None:
    path = tmp_path / "r.mcap"
    with RecordingWriter(path, CHAIN, interval=0.02) as writer:
        writer.flush()
        writer.step(0, "agent", 0, 0, 1, {"output": {"": np.float32(1)}})
        deadline = time.monotonic() + 5
        while read_recording(path).num_episodes == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert writer_module.INTERVAL + writer_module.SEND_EVERY <= 0.6
