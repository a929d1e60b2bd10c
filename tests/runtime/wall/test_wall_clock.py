"""What the wall clock runs together, and what it cannot do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rexcli.config.schema import WallSettings
from rexcli.errors import RexError
from rexcli.runs.recording import RecordingWriter, read_recording
from rexcli.runtime.wall import wall_clock
from rexcli.runtime.wall.wall_clock import WallClock, check_system
from rexcli.system.delays import Constant
from rexcli.system.init import init_graph_state
from rexcli.system.ranges import Ranges
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from tests.runtime.wall.robots import Counter, chain
from tests.runtime.wall.test_session import KEY, record
from tests.system.test_randomize import RANGES, make


def test_jitted_nodes_are_called_once_and_share_a_thread(tmp_path: Path) -> None:
    clock = WallClock(system := chain(Counter(), Counter(), Counter()))
    assert clock.run(KEY, steps=3).check().steps == 3
    assert set(clock.shared) <= set(system.nodes)
    _, recording = record(system, tmp_path, steps=50)
    for name in system.nodes:
        counts = recording.values(name, "state")[""][0]
        done = 50 if name == "n2" else len(counts)
        assert counts[:done].tolist() == list(range(1, done + 1))


def test_jitted_nodes_that_are_due_together_start_and_end_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("SHARE_SECONDS", "SHARE_OF_PERIOD", "SHARE_LOAD"):  # however slow the machine is just now
        monkeypatch.setattr(wall_clock, limit, 100.0)
    names = ["a", "b", "c"]
    specs = [(NodeSpec(name, 100.0, delay=Constant(0.0)), Counter()) for name in [*names, "last", "reader"]]
    edges = [Edge(f"{name}_last", name, "last", name, blocking=True) for name in names]
    edges += [Edge("a_reader", "a", "reader", "a", blocking=True), Edge("a_b", "a", "b", "a")]
    system = System(specs, edges, "last")
    _, recording = record(system, tmp_path, steps=40)
    steps = recording.timeline().steps
    starts = np.array([steps[name].start[0, :40] for name in names])
    ends = np.array([steps[name].end[0, :40] for name in names])
    together = (starts == starts[0]).all(0)
    assert together.mean() > 0.5
    assert (ends == ends[0]).all(0)[together].all()
    assert (steps["reader"].start[0, :40] >= ends[0]).all(), "it waits for a, and is not called with it"
    for name in names:
        assert recording.values(name, "state")[""][0, :40].tolist() == list(range(1, 41))


def test_a_quick_jitted_node_may_have_a_thread_of_its_own() -> None:
    clock = WallClock(chain(Counter(), Counter(), thread="own"))
    clock.prepare(init_graph_state(clock.system, KEY))
    assert clock.shared == []


def test_a_controller_steps_the_supervisor_in_place_of_its_code(tmp_path: Path) -> None:
    system = chain(Counter(), Counter())
    with RecordingWriter(tmp_path / "r.mcap", system.timing) as writer:
        clock = WallClock(system, writer, controller=lambda state: (state, state.inputs["before"][-1].data * 0 + 7.0))
        clock.run(KEY, steps=5).check()
    recording = read_recording(tmp_path / "r.mcap")
    assert set(recording.values("n1", "output")[""][0, :5].tolist()) == {7.0}
    assert set(recording.values("n1", "state")[""][0, :5].tolist()) == {0}


def test_the_wall_clock_refuses_drawn_delays_and_takes_parameters():
    for ranges, name in (
        (Ranges(edges=RANGES.edges), "randomize.edges.water_gauge"),
        (Ranges(computation=RANGES.computation), "randomize.computation.gauge"),
    ):
        with pytest.raises(RexError, match=f"{name}=.*on the wall clock delays are what they are"):
            check_system(make(ranges), WallSettings())
    check_system(make(Ranges(nodes=RANGES.nodes)), WallSettings())
    check_system(make(), WallSettings(emulate=True))
