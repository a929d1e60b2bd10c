"""The process that writes a recording: what it outlives, and what it says when something goes wrong."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rexcli.runs.recording import RecordingWriter, read_recording
from tests.runs.executions import CHAIN, assert_same, chain_timeline, events, record, recorded

IN_ITS_OWN_PROCESS = True


def test_an_execution_comes_back(tmp_path: Path) -> None:
    timeline = chain_timeline(episodes=3)
    recording = read_recording(recorded(tmp_path / "r.mcap", timeline))
    assert recording.complete
    assert_same(recording.timeline(), timeline)
    start = timeline.steps["agent"].start
    np.testing.assert_array_equal(recording.values("agent", "state")["start"], np.where(start < 2**61, start, 0))


def test_more_than_a_pipe_holds_comes_back(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, 3_000_000, np.uint8)
    with RecordingWriter(tmp_path / "r.mcap", CHAIN) as writer:
        for tick in range(3):
            writer.step(0, "agent", tick, tick, tick, {"output": {"": image}})
    np.testing.assert_array_equal(read_recording(tmp_path / "r.mcap").values("agent", "output")[""][0, 2], image)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_that_mean_the_recorder_do_not_stop_the_writer(tmp_path: Path, number: signal.Signals) -> None:
    timeline = chain_timeline()
    done = events(timeline)
    with RecordingWriter(tmp_path / "r.mcap", CHAIN) as writer:
        writer.flush()
        record(writer, timeline, done[:50])
        os.kill(writer._process.pid, number)
        assert os.getpgid(writer._process.pid) != os.getpgid(0), "Ctrl-C would reach it"
        record(writer, timeline, done[50:])
    assert writer.failed is None
    assert_same(read_recording(tmp_path / "r.mcap").timeline(), timeline)


def test_a_writer_that_dies_ends_the_recording_and_not_the_caller(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    timeline = chain_timeline(episodes=2)
    done = events(timeline)
    with RecordingWriter(tmp_path / "r.mcap", CHAIN) as writer:
        record(writer, timeline, [event for event in done if event[0] == 0])
        writer.flush()
        os.kill(writer._process.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while writer.failed is None and time.monotonic() < deadline:
            record(writer, timeline, [event for event in done if event[0] == 1])
            time.sleep(0.01)
        writer.flush()
    assert writer.failed is not None
    assert (
        "recording stopped: the process that writes it was ended by SIGKILL; what it had written is kept"
        in writer.failed
    )
    assert [entry.message for entry in caplog.records] == [writer.failed]
    recording = read_recording(tmp_path / "r.mcap")
    assert not recording.complete
    np.testing.assert_array_equal(recording.timeline().num_steps[0], timeline.num_steps[0])


@pytest.mark.parametrize("room", [3000, 20_000])
def test_a_file_that_can_grow_no_more_ends_the_recording_and_not_the_caller(tmp_path: Path, room: int) -> None:
    timeline = chain_timeline(episodes=10, steps=50)
    with RecordingWriter(tmp_path / "r.mcap", CHAIN) as writer:
        resource.prlimit(writer._process.pid, resource.RLIMIT_FSIZE, (room, room))
        for episode in range(10):
            record(writer, timeline, [event for event in events(timeline) if event[0] == episode])
            writer.flush()
    assert writer.failed is not None
    assert "recording stopped: File too large; " in writer.failed
    recording = read_recording(tmp_path / "r.mcap")
    assert (recording.complete, recording.damaged) == (False, False)
    assert recording.num_episodes == 0 if room < 10_000 else 1 <= recording.num_episodes < 10


SCRIPT = """
import sys
from rexcli.runs.recording import RecordingWriter
from tests.runs.executions import CHAIN
with RecordingWriter("r.mcap", CHAIN) as writer:
    writer.step(0, "agent", 0, 0, 1, {})
    writer.flush()
    maps = open(f"/proc/{writer._process.pid}/maps").read()
assert writer.failed is None, writer.failed
assert "jaxlib" not in maps
assert "numpy" in maps
"""


def test_a_script_without_a_main_guard_records_and_files_around_it_do_no_harm(tmp_path: Path) -> None:
    for name in ("numpy.py", "mcap.py", "json.py", "signal.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong module')\n")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-P", "-"], input=SCRIPT, cwd=tmp_path, env=environment, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert read_recording(tmp_path / "r.mcap").counts("agent").tolist() == [1]


def test_a_recorder_that_ends_without_closing_leaves_a_whole_file(tmp_path: Path) -> None:
    script = SCRIPT.replace("with RecordingWriter(", "if writer := RecordingWriter(").replace(") as writer", ")")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", script]
    # Its error output stays open for as long as the process that writes lives.
    done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    recording = read_recording(tmp_path / "r.mcap")
    assert (recording.complete, recording.damaged) == (False, False)
    assert recording.counts("agent").tolist() == [1]
