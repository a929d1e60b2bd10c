"""A recording by the program is that of the stepper: the same steps, messages and values, whatever the system."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st

from rexcli.compiler import recording
from rexcli.errors import RexError
from rexcli.runs.recording import Recording, RecordingWriter, read_recording
from rexcli.runtime.recorder import Recorder
from rexcli.runtime.stepper import Stepper
from rexcli.system.delays import Constant
from rexcli.system.node import Node
from rexcli.system.spec import Edge, NodeSpec, RecordSettings
from rexcli.system.system import System
from rexcli.timeline.timeline import Timeline
from tests.compiler.timelines import draw_timeline
from tests.random_systems import CLOSE_RATES, systems
from tests.runs.conftest import WriterThread
from tests.runs.executions import assert_same

KEEP = RecordSettings(params=True, inputs=True, state=True, output=True)


@pytest.fixture(autouse=True)
def small_pieces_written_by_a_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("rexcli.runs.recording.writer.WriterProcess", WriterThread)
    monkeypatch.setattr(recording, "ROWS", 5)
    yield
    jax.clear_caches()  # hundreds of programs in one process exhaust its memory maps


def by_stepper(path: Path, system: System, timeline: Timeline, key: jax.Array) -> Recording:
    for node in system.nodes.values():
        node.jit = False  # operation by operation: those of one shape are compiled once for all systems
    with RecordingWriter(path, timeline.spec) as writer:
        stepper = Stepper(system, timeline, Recorder(writer, system, timeline))
        for episode in range(timeline.num_episodes):
            state, _ = stepper.reset(stepper.init(jax.random.fold_in(key, episode), eps=episode))
            for _ in range(int(timeline.num_steps[episode])):
                state = stepper.run(state)
        stepper.stop()
    assert writer.failed is None
    return read_recording(path)


def by_program(path: Path, system: System, timeline: Timeline, key: jax.Array, skip="cond") -> Recording:
    with RecordingWriter(path, timeline.spec) as writer:
        recording.record(system, timeline, writer, key, skip=skip)
    assert writer.failed is None
    return read_recording(path)


def assert_recorded_alike(one: Recording, other: Recording) -> None:
    assert_same(one.timeline(), other.timeline())
    for name in one.timeline().steps:
        np.testing.assert_array_equal(one.counts(name), other.counts(name))
        assert one.fields(name) == other.fields(name)
        for field in one.fields(name):
            left, right = one.values(name, field), other.values(name, field)
            assert left.keys() == right.keys()
            for path, want in left.items():
                got, where = right[path], f"{name}/{field}/{path}"
                assert got.dtype == want.dtype, where
                if jnp.issubdtype(want.dtype, jnp.floating):
                    close = 2e-5 if jnp.finfo(want.dtype).nmant > 10 else 4 * float(jnp.finfo(want.dtype).eps)
                    np.testing.assert_allclose(
                        got.astype(np.float32), want.astype(np.float32), close, close, err_msg=where
                    )
                else:
                    np.testing.assert_array_equal(got, want, err_msg=where)


def agree(data: st.DataObject, system: System) -> None:
    for spec in system.specs.values():
        object.__setattr__(spec, "record", KEEP)
    episodes, steps, start = (data.draw(st.integers(*span)) for span in ((1, 2), (1, 12), (0, 99)))
    try:
        timeline = draw_timeline(system, episodes, steps, start)
    except RexError:
        assume(False)
    key, skip = jax.random.key(3), data.draw(st.sampled_from(["cond", "mask"]))
    with tempfile.TemporaryDirectory() as folder:
        program = by_program(Path(folder, "program.mcap"), system, timeline, key, skip)
        stepper = by_stepper(Path(folder, "stepper.mcap"), system, timeline, key)
        assert program.complete
        assert_recorded_alike(stepper, program)


SETTINGS = {
    "deadline": None,
    "database": None,
    "phases": (Phase.explicit, Phase.generate),
    "suppress_health_check": list(HealthCheck),
}


@settings(max_examples=1, **SETTINGS)
@seed(1)
@given(data=st.data(), system=systems(4, CLOSE_RATES))
def test_the_program_records_what_the_stepper_records(data: st.DataObject, system: System) -> None:
    agree(data, system)


@pytest.mark.slow
@settings(max_examples=8, **SETTINGS)
@seed(2)
@given(data=st.data(), system=systems(7, CLOSE_RATES))
def test_the_program_records_what_the_stepper_records_of_many_systems(data: st.DataObject, system: System) -> None:
    agree(data, system)


class Count(Node):
    """Counts its steps, and sends the count."""

    def __init__(self, jit: bool = True):
        self.jit = jit
        self.calls: list[str] = []

    def init_state(self, rng, graph_state):
        return jnp.zeros((), jnp.int32)

    def init_output(self, rng, graph_state):
        return jnp.zeros((), jnp.int32)

    def startup(self, graph_state, timeout=None):
        self.calls.append("startup")
        return True

    def step(self, step_state):
        state = step_state.state + 1
        return step_state.replace(state=state), state

    def stop(self, timeout=None):
        self.calls.append("stop")
        return True


class Refuses(Count):
    """Cannot be traced."""

    def step(self, step_state):
        if step_state.state > 3:
            return step_state, step_state.state
        return super().step(step_state)


class Numbered(Count):
    """Begins with the number of its episode."""

    def init_state(self, rng, graph_state):
        return jnp.asarray(100 * graph_state.eps, jnp.int32)


def in_step(nodes: dict[str, Node]) -> System:
    """Nodes at one rate without any delay: all their ticks start at the same instants."""
    specs = [(NodeSpec(name, 10.0, Constant(0.0)), node) for name, node in nodes.items()]
    first, *others = nodes
    return System(specs, [Edge(f"e{name}", first, name, first, delay=Constant(0.0)) for name in others], first)


def test_ticks_at_the_very_instant_of_the_end_are_recorded_but_for_what_waits_for_it(tmp_path: Path) -> None:
    system = in_step({"a": Count(), "b": Count(), "c": Count()})
    timeline = draw_timeline(system, 1, 4, 0)
    program = by_program(tmp_path / "program.mcap", system, timeline, jax.random.key(0))
    stepper = by_stepper(tmp_path / "stepper.mcap", system, timeline, jax.random.key(0))
    assert_recorded_alike(stepper, program)
    assert program.counts("a").tolist() == [5]
    assert program.counts("b").tolist() == [4], "its tick 4 reads the message of a decision that is yet to be taken"


def test_a_node_that_never_ticks_sends_nothing(tmp_path: Path) -> None:
    specs = [(NodeSpec("a", 10.0, Constant(0.0)), Count()), (NodeSpec("b", 10.0, Constant(0.0)), Count())]
    specs.append((NodeSpec("late", 10.0, Constant(5.0)), Count()))
    edges = [
        Edge("slow", "late", "b", "late", delay=Constant(0.0), skip=True),
        Edge("never", "b", "a", "b", delay=Constant(0.0), skip=True),
        Edge("waits", "a", "late", "a", delay=Constant(9.0), blocking=True),
    ]
    system = System(specs, edges, "a")
    timeline = draw_timeline(system, 1, 4, 0)
    assert timeline.steps["late"].count.tolist() == [0]
    program = by_program(tmp_path / "program.mcap", system, timeline, jax.random.key(0))
    assert_recorded_alike(by_stepper(tmp_path / "stepper.mcap", system, timeline, jax.random.key(0)), program)


def test_nodes_know_their_episode_from_the_begin(tmp_path: Path) -> None:
    system = in_step({"a": Count(), "b": Numbered()})
    timeline = draw_timeline(system, 3, 4, 0)
    program = by_program(tmp_path / "program.mcap", system, timeline, jax.random.key(0))
    assert program.values("b", "state")[""][:, 0].tolist() == [1, 101, 201]
    assert_recorded_alike(by_stepper(tmp_path / "stepper.mcap", system, timeline, jax.random.key(0)), program)


def test_nodes_are_started_and_stopped_once(tmp_path: Path) -> None:
    node = Count()
    system = in_step({"a": node, "b": Count()})
    by_program(tmp_path / "r.mcap", system, draw_timeline(system, 3, 4, 0), jax.random.key(0))
    assert node.calls == ["startup", "stop"]


@pytest.mark.parametrize(
    ("node", "reason"),
    [(Count(jit=False), "node 'b' is plain Python"), (Refuses(), "the step of node 'b' cannot be jitted")],
)
def test_what_cannot_be_compiled_is_told(node: Node, reason: str) -> None:
    assert recording.why_not_compiled(in_step({"a": Count(), "b": Count()})) is None
    assert reason in str(recording.why_not_compiled(in_step({"a": Count(), "b": node})))
