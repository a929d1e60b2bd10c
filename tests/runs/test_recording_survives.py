"""What a recording is worth after a kill and on a full disk."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from rexcli.runs.recording import RecordingWriter, read_recording
from tests.runs.executions import assert_prefix, chain_timeline, events, record

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


@pytest.mark.slow
def test_of_a_killed_recorder_the_writer_finishes_the_file(tmp_path: Path) -> None:
    last = kill_while_writing(tmp_path / "r.mcap", 1.6, 0.0005, alone=True)
    assert last > (-1, -1)
    check_killed(tmp_path / "r.mcap", last)
    check_finished(tmp_path / "r.mcap")


@pytest.mark.slow
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
