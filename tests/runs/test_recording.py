"""A recording gives back what was recorded: every number, and the timeline that was executed."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from rexcli.errors import RexError
from rexcli.runs.recording import RecordingWriter, read_recording
from rexcli.runs.storage import sha256
from rexcli.timeline.simulate import simulate
from rexcli.timeline.spec import NEVER, EdgeTiming, NodeTiming, SystemTiming
from tests.runs.executions import CHAIN, assert_same, chain_timeline, events, record, recorded
from tests.timeline.systems import Delays, cases

NONE = np.zeros((0, 2), np.float32)
ALONE = SystemTiming((NodeTiming("arm", 10.0),), (), "arm")
INTEGERS = ("bool", "int8", "uint8", "int32", "uint32", "int64", "uint64")
DTYPES = (*INTEGERS, "float16", "float32", "float64", "complex64")


def through_file(fields: list[Mapping[str, Mapping[str, np.ndarray]]], field: str) -> dict[str, np.ndarray]:
    """Records steps of one node and reads one field of all of them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "recording.mcap")
        with RecordingWriter(path, ALONE) as writer:
            for tick, step in enumerate(fields):
                writer.step(0, "arm", tick, tick, tick + 1, step)
        assert writer.failed is None
        return read_recording(path).values("arm", field)


def assert_exact(read: np.ndarray, written: np.ndarray) -> None:
    """Equal to the sign of zero; any NaN is like any other."""
    assert read.dtype == written.dtype
    assert read.shape == written.shape
    np.testing.assert_array_equal(read, written)
    if np.issubdtype(written.dtype, np.floating):
        number = ~np.isnan(written)
        np.testing.assert_array_equal(np.signbit(read)[number], np.signbit(written)[number])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_array_comes_back_exactly(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(DTYPES))
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    ticks = data.draw(st.integers(1, 3))
    written = [data.draw(hnp.arrays(dtype, shape)) for _ in range(ticks)]
    read = through_file([{"state": {"x": array}, "output": {"": array}} for array in written], "state")
    assert_exact(read["x"], np.stack(written)[None])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
def test_special_floats_come_back_exactly(dtype: type) -> None:
    tiny, huge = (np.finfo(np.float32).tiny, 3e38) if dtype is ml_dtypes.bfloat16 else (0.0, 0.0)
    info = None if dtype is ml_dtypes.bfloat16 else np.finfo(dtype)
    edges = [tiny, huge] if info is None else [info.max, info.min, info.tiny, info.smallest_subnormal, info.eps]
    written = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1 / 3, 1e-5, *edges], dtype)
    read = through_file([{"state": {"x": written, "y": written[:1].reshape(())}}], "state")
    assert_exact(read["x"].astype(np.float64), written[None, None].astype(np.float64))
    assert read["x"].dtype == np.dtype(dtype)
    assert np.isnan(read["y"].astype(np.float64)).all()


def test_every_float32_in_a_large_sample_comes_back() -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, 20_000, np.uint32)
    written = bits.view(np.float32)
    read = through_file([{"output": {"": written}}], "output")[""][0, 0]
    np.testing.assert_array_equal(read, written)


def test_structures_come_back(tmp_path: Path) -> None:
    key = np.array([0, 2**32 - 1], np.uint32)
    step = {
        "params": {},
        "inputs": {"0.data": np.float32(1), "0.seq": np.int32(-1), 'name.with 100% of"quotes': np.float64(2)},
        "state": {"a": np.float64(3), "a.b": np.float64(4), "rng": key, "": np.float64(5)},
        "output": {"": np.array(True)},
    }
    path = tmp_path / "recording.mcap"
    with RecordingWriter(path, ALONE) as writer:
        writer.step(0, "arm", 0, 0, 1, step)
    recording = read_recording(path)
    assert recording.fields("arm") == tuple(step)
    for field, leaves in step.items():
        read = recording.values("arm", field)
        assert set(read) == set(leaves)
        for name, value in leaves.items():
            assert_exact(read[name], np.asarray(value)[None, None])


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


def test_a_field_that_is_recorded_now_and_then_is_zero_elsewhere() -> None:
    steps = [{"output": {"": np.float32(7)}}, {}, {"output": {"": np.float32(8)}}]
    np.testing.assert_array_equal(through_file(steps, "output")[""], [[7, 0, 8]])


def test_a_changing_structure_is_recorded_and_refused_when_read_as_one() -> None:
    steps = [{"output": {"": np.zeros(2)}, "state": {}}, {"output": {"": np.zeros(3)}, "state": {}}]
    assert through_file(steps, "state") == {}
    with pytest.raises(RexError, match="output of node 'arm' changes its structure"):
        through_file(steps, "output")


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


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_arrays_are_decoded_as_ros_2_does(data: st.DataObject) -> None:
    """CDR aligns each number by its size; a mistake moves all that follow."""
    arrays = [
        data.draw(hnp.arrays(data.draw(st.sampled_from(INTEGERS)), data.draw(st.integers(1, 4))))
        for _ in range(data.draw(st.integers(1, 6)))
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.mcap")
        with RecordingWriter(path, ALONE) as writer:
            writer.step(0, "arm", 3, 5, 9, {"state": {f"a{i}": array for i, array in enumerate(arrays)}})
        with path.open("rb") as file:
            reader = make_reader(file, decoder_factories=[DecoderFactory()])
            (step,) = [decoded for *_, decoded in reader.iter_decoded_messages()]
    for i, array in enumerate(arrays):
        assert list(getattr(step.state, f"a{i}")) == array.tolist()


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


@settings(max_examples=40, deadline=None)
@given(cases(largest=5), st.integers(1, 3), st.integers(1, 8))
def test_the_timeline_of_a_recording_is_the_one_executed(
    case: tuple[SystemTiming, Delays], episodes: int, steps: int
) -> None:
    spec, delays = case
    try:
        delays = replace(delays, episodes=tuple(range(episodes)))
        timeline = simulate(spec, delays, episodes=episodes, steps=steps)
    except RexError as refusal:
        assume("infinitely fast" not in str(refusal))
        raise
    with tempfile.TemporaryDirectory() as folder:
        recording = read_recording(recorded(Path(folder, "r.mcap"), timeline))
        assert recording.complete
        assert_same(recording.timeline(), timeline)
        for name, node in timeline.steps.items():
            np.testing.assert_array_equal(recording.counts(name), node.count)
            there = np.arange(node.start.shape[1]) < node.count[:, None]
            if there.any():
                starts = recording.values(name, "state")["start"]
                np.testing.assert_array_equal(starts, np.where(there, node.start, 0))


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


def test_info_comes_back(tmp_path: Path) -> None:
    info = {"colors": {"agent": "grape"}, "seed": 3}
    with RecordingWriter(tmp_path / "r.mcap", CHAIN, info) as writer:
        writer.flush()
    assert writer.sha256 == sha256(tmp_path / "r.mcap")
    recording = read_recording(tmp_path / "r.mcap")
    assert (recording.info, recording.spec, recording.num_episodes) == (info, CHAIN, 0)
    with pytest.raises(RexError, match="not one whole step of supervisor 'agent'"):
        recording.timeline()


def test_wrong_names_and_types_are_refused_with_the_fix(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "r.mcap", CHAIN) as writer:
        with pytest.raises(RexError, match="no node is called 'agnet'; did you mean 'agent'"):
            writer.step(0, "agnet", 0, 0, 0, {})
        with pytest.raises(RexError, match="no edge is called 'sensor_agnet'; did you mean"):
            writer.message(0, "sensor_agnet", 0, 0, 0, 0)
        with pytest.raises(RexError, match="node 'agent' has no field 'stat'; did you mean 'state'"):
            writer.step(0, "agent", 0, 0, 0, {"stat": {}})
        with pytest.raises(RexError, match=r"node 'agent': state\.name: an array of type str"):
            writer.step(0, "agent", 0, 0, 0, {"state": {"name": np.array("text")}})
    recording = read_recording(recorded(tmp_path / "s.mcap", chain_timeline()))
    with pytest.raises(RexError, match=r"inputs of node 'agent' was not recorded; .*nodes\.agent\.record\.inputs=true"):
        recording.values("agent", "inputs")
    with pytest.raises(RexError, match="no node is called 'worl'; did you mean 'world'"):
        recording.counts("worl")


def test_a_missing_tick_ends_the_episode_before_it(tmp_path: Path) -> None:
    timeline = chain_timeline(episodes=1)
    kept = [event for event in events(timeline) if event[2:] != (1, "sensor", 7)]
    recording = read_recording(recorded(tmp_path / "r.mcap", timeline, kept))
    assert recording.counts("sensor").tolist() == [7]


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
