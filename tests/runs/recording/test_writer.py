"""What the recorder notes: whatever becomes of the file, the caller goes on, and is told."""

from __future__ import annotations

import errno
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.errors import RexError, WriteError
from rexcli.runs.recording import RecordingWriter, read_recording
from rexcli.runs.recording import writer as writer_module
from tests.runs.executions import ALONE, CHAIN, assert_same, chain_timeline, events, record


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


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_many_at_once_are_what_one_by_one_would_be(seed: int, swapped: bool) -> None:
    timeline = chain_timeline(episodes=2, seed=seed)
    draw = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("one.mcap", "many.mcap")]
        writers = [RecordingWriter(path, timeline.spec) for path in paths]
        for episode in range(2):
            for edge in timeline.spec.edges:
                sent, messages = timeline.steps[edge.source], timeline.messages[edge.name]
                seq = np.arange(sent.count[episode])
                columns = [table[episode, seq] for table in (sent.end, messages.arrive, messages.reader)]
                writers[1].messages(episode, edge.name, seq, *columns)
                for row in zip(seq, *columns, strict=True):
                    writers[0].message(episode, edge.name, *map(int, row))
            for name, steps in timeline.steps.items():
                seq = np.arange(steps.count[episode])
                start, end = (table[episode, seq] for table in (steps.start, steps.end))
                values = draw.normal(size=(len(seq), 2, 3)).astype(">f4" if swapped else "f4")
                writers[1].steps(episode, name, seq, start, end, {"state": {"x": values}, "output": {}})
                for k in seq.tolist():
                    fields = {"state": {"x": values[k]}, "output": {}}
                    writers[0].step(episode, name, k, int(start[k]), int(end[k]), fields)
        for writer in writers:
            writer.close()
            assert writer.failed is None
        one, many = map(read_recording, paths)
        assert_same(many.timeline(), timeline)
        assert_same(one.timeline(), timeline)
        for name in timeline.steps:
            assert one.fields(name) == many.fields(name) == ("state", "output")
            np.testing.assert_array_equal(many.values(name, "state")["x"], one.values(name, "state")["x"])


def test_many_threads_may_write(tmp_path: Path) -> None:
    path, ticks = tmp_path / "recording.mcap", 3000
    with RecordingWriter(path, CHAIN, interval=0.01) as writer:

        def run(node: str) -> None:
            for tick in range(ticks):
                writer.step(0, node, tick, tick, tick, {"output": {"": np.int64(tick)}})

        threads = [threading.Thread(target=run, args=(node.name,)) for node in CHAIN.nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    recording = read_recording(path)
    for node in CHAIN.nodes:
        assert recording.counts(node.name).tolist() == [ticks]
        np.testing.assert_array_equal(recording.values(node.name, "output")[""][0], np.arange(ticks))


def test_records_after_close_are_ignored(tmp_path: Path) -> None:
    timeline = chain_timeline(episodes=1)
    with RecordingWriter(tmp_path / "r.mcap", CHAIN) as writer:
        record(writer, timeline, events(timeline))
    size = (tmp_path / "r.mcap").stat().st_size
    record(writer, timeline, events(timeline))
    writer.close()
    writer.flush()
    assert (tmp_path / "r.mcap").stat().st_size == size
    assert writer.failed is None


def test_steps_are_copied_when_they_are_noted() -> None:
    buffer = np.zeros(2, np.float32)
    steps = []
    with tempfile.TemporaryDirectory() as folder:
        with RecordingWriter(Path(folder, "r.mcap"), ALONE) as writer:
            for tick in range(5):
                buffer[:] = tick
                steps.append(buffer.copy())
                writer.step(0, "arm", tick, tick, tick, {"output": {"": buffer}})
        read = read_recording(Path(folder, "r.mcap")).values("arm", "output")[""]
    np.testing.assert_array_equal(read[0], np.stack(steps))
