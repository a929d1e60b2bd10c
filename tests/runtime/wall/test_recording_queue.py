"""What executors leave to be recorded is recorded, as far as it is asked for and there is room."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rexcli.runs.recording import RecordingWriter
from rexcli.runtime.wall.wall_clock import WallClock
from tests.runtime.wall.robots import Counter, Diary, chain
from tests.runtime.wall.test_session import KEY, record


def test_inputs_and_parameters_are_recorded_on_demand(tmp_path: Path) -> None:
    from rexcli.system.spec import RecordSettings

    settings = RecordSettings(params=True, inputs=True)
    _, recording = record(chain(Counter(), Counter(), record=settings), tmp_path, steps=8)
    inputs = recording.values("n1", "inputs")
    assert inputs["before.seq"][0, :8, 0].tolist() == list(range(8))
    sent = recording.timeline().steps["n0"].end[0, :8] / 1e9
    np.testing.assert_allclose(inputs["before.ts_sent"][0, :8, 0], sent, rtol=1e-6)


def test_a_full_disk_stops_the_recording_and_not_the_robot() -> None:
    node = Diary()
    system = chain(node, Counter())
    with RecordingWriter("/dev/full", system.timing, interval=0.05) as writer:
        outcome = WallClock(system, writer).run(KEY, steps=60).check()
    assert outcome.steps == 60
    assert len(node.ticks) >= 60
    assert writer.failed is not None
    assert "No space left on device" in writer.failed
