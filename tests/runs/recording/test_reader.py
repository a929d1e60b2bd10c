"""What a recording says of its steps when it is asked, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.runs.recording import RecordingWriter, read_recording
from rexcli.runs.storage import sha256
from tests.runs.executions import CHAIN, through_file


def test_a_field_that_is_recorded_now_and_then_is_zero_elsewhere() -> None:
    steps = [{"output": {"": np.float32(7)}}, {}, {"output": {"": np.float32(8)}}]
    np.testing.assert_array_equal(through_file(steps, "output")[""], [[7, 0, 8]])


def test_a_changing_structure_is_recorded_and_refused_when_read_as_one() -> None:
    steps = [{"output": {"": np.zeros(2)}, "state": {}}, {"output": {"": np.zeros(3)}, "state": {}}]
    assert through_file(steps, "state") == {}
    with pytest.raises(RexError, match="output of node 'arm' changes its structure"):
        through_file(steps, "output")


def test_info_comes_back(tmp_path: Path) -> None:
    info = {"colors": {"agent": "grape"}, "seed": 3}
    with RecordingWriter(tmp_path / "r.mcap", CHAIN, info) as writer:
        writer.flush()
    assert writer.sha256 == sha256(tmp_path / "r.mcap")
    recording = read_recording(tmp_path / "r.mcap")
    assert (recording.info, recording.spec, recording.num_episodes) == (info, CHAIN, 0)
    with pytest.raises(RexError, match="not one whole step of supervisor 'agent'"):
        recording.timeline()
