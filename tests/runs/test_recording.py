"""A recording gives back what was recorded: every number, and the timeline that was executed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rexcli.errors import RexError
from rexcli.runs.recording import RecordingWriter, read_recording
from rexcli.timeline.spec import SystemTiming
from tests.runs.executions import ALONE, CHAIN, INTEGERS, assert_same, chain_timeline, recorded, simulated, through_file
from tests.timeline.systems import Delays, cases

DTYPES = (*INTEGERS, "float16", "float32", "float64", "complex64")


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


@settings(max_examples=40, deadline=None)
@given(cases(largest=5), st.integers(1, 3), st.integers(1, 8))
def test_the_timeline_of_a_recording_is_the_one_executed(
    case: tuple[SystemTiming, Delays], episodes: int, steps: int
) -> None:
    timeline = simulated(case, episodes, steps)
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
