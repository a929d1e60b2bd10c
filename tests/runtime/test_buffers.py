"""Node code that writes into its own arrays again and again: what was recorded stays what it was."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest

import rexcli as rex
from rexcli.runs.recording import RecordingWriter, read_recording
from rexcli.runtime.recorder import Recorder
from rexcli.runtime.wall.wall_clock import WallClock
from rexcli.system.spec import Edge, NodeSpec, RecordSettings
from rexcli.system.system import System

KEY = jax.random.key(0)
STEPS = 40
RECORD = RecordSettings(params=True, inputs=True)


class Reuses(rex.Node):
    """Has one array for each of what it returns, and writes its tick into all of them."""

    jit = False

    def __init__(self):
        self.buffers = [np.zeros(1000, np.float32) for _ in range(3)]

    def init_params(self, rng, graph_state):
        return np.zeros(1000, np.float32)

    init_state = init_params
    init_output = init_params

    def step(self, step_state):
        for buffer in self.buffers:
            buffer[:] = int(step_state.seq)
        params, state, output = self.buffers
        return step_state.replace(params=params, state=state), output


class InPlace(Reuses):
    """Counts in the state that it is given, where that can be written into."""

    def step(self, step_state):
        state = step_state.state
        if not (isinstance(state, np.ndarray) and state.flags.writeable):
            state = np.array(state)
        state[:] = int(step_state.seq)
        return step_state.replace(params=state, state=state), state


class Reader(rex.Node):
    jit = False

    def step(self, step_state):
        return step_state, None


def make(node: rex.Node) -> System:
    nodes = [(NodeSpec("reuses", 200.0, record=RECORD), node), (NodeSpec("reader", 200.0, record=RECORD), Reader())]
    return System(nodes, [Edge("e", "reuses", "reader", "reuses", blocking=True)], "reader")


def check(values, ticks: int) -> None:
    for field in ("params", "state", "output"):
        recorded = values("reuses", field)[""][0, :ticks]
        np.testing.assert_array_equal(recorded, np.broadcast_to(np.arange(ticks)[:, None], recorded.shape))


@pytest.mark.parametrize("node", [Reuses, InPlace])
def test_a_recording_of_the_wall_clock_has_every_ticks_own_values(tmp_path: Path, node) -> None:
    system = make(node())
    with RecordingWriter(tmp_path / "r.mcap", system.timing) as writer:
        WallClock(system, writer).run(KEY, steps=STEPS).check()
    check(read_recording(tmp_path / "r.mcap").values, STEPS)


@pytest.mark.parametrize("node", [Reuses, InPlace])
def test_what_the_stepper_gives_to_a_listener_is_the_ticks_own(tmp_path: Path, node) -> None:
    system = make(node())
    timeline = rex.simulate(system, steps=STEPS)
    for listener in ("memory", "recorder"):
        memory = rex.InMemoryRecorder()
        with RecordingWriter(tmp_path / f"{listener}.mcap", system.timing) as writer:
            stepper = rex.Stepper(
                system, timeline, memory if listener == "memory" else Recorder(writer, system, timeline)
            )
            state, _ = stepper.reset(stepper.init(KEY))
            for _ in range(STEPS):
                state = stepper.run(state)
            stepper.stop()
        if listener == "memory":
            after, output = memory["reuses"]
            kept = {"params": after.params, "state": after.state, "output": output}
            check(lambda _, field, kept=kept: {"": np.asarray(kept[field])[None]}, STEPS)
        else:
            check(read_recording(tmp_path / "recorder.mcap").values, STEPS)
