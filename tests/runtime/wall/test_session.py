"""In real time: every step once, when the rules allow; what was recorded is what happened."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from rexcli.config.schema import WallSettings
from rexcli.errors import RexError
from rexcli.runs.recording import Recording, RecordingWriter, read_recording
from rexcli.runtime.in_memory import InMemoryRecorder
from rexcli.runtime.stepper import Stepper
from rexcli.runtime.wall import wall_clock
from rexcli.runtime.wall.session import Outcome
from rexcli.runtime.wall.wall_clock import WallClock
from rexcli.system.delays import Constant
from rexcli.system.init import init_graph_state
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from rexcli.timeline.phases import advances, phases
from rexcli.timeline.readers import blocking_readers, first_readers
from rexcli.timeline.schedule import Schedule, scheduled
from rexcli.timeline.spec import NEVER
from rexcli.timeline.timeline import Timeline
from tests.random_systems import systems
from tests.runtime.wall.robots import Counter, Diary, chain, sleeper

KEY = jax.random.key(0)


def record(
    system: System, path: Path, settings: WallSettings | None = None, **length: float
) -> tuple[Outcome, Recording]:
    with RecordingWriter(path / "recording.mcap", system.timing) as writer:
        outcome = WallClock(system, writer, settings=settings).run(KEY, **length).check()  # type: ignore[arg-type]
    return outcome, read_recording(path / "recording.mcap")


def allowed(timeline: Timeline, name: str, episode: int = 0) -> np.ndarray:
    """When the rules let each tick of a node start, given what came before it, ns."""
    spec, node = timeline.spec, timeline.spec.node(name)
    steps, count = timeline.steps[name], int(timeline.steps[name].count[episode])
    due = scheduled(node.rate, phases(spec)[name], count)
    last = np.concatenate([[0], steps.end[episode, : count - 1]])
    needed = np.zeros(count, np.int64)
    for edge in spec.inputs(name):
        if edge.blocking:
            required = Schedule(spec, int(due[-1])).required(edge)[:count]
            arrive = timeline.messages[edge.name].arrive[episode]
            needed = np.maximum(needed, np.where(required > 0, arrive[required - 1], 0))
    if advances(spec, node):
        return np.maximum(needed, last)
    behind = np.maximum.accumulate(np.concatenate([[0], (last - due)[:-1]]))
    shift = np.maximum(behind, 0) if node.scheduling == "frequency" else np.zeros(count, np.int64)
    return np.maximum(np.maximum(needed, last), due + shift)


def check_rules(timeline: Timeline, lateness: dict[str, np.ndarray]) -> None:
    """Starts, ends, arrivals and readers, all by the rules; lateness is what they leave."""
    spec = timeline.spec
    for node in spec.nodes:
        steps = timeline.steps[node.name]
        late = []
        for episode, count in enumerate(steps.count):
            start, end = steps.start[episode, :count], steps.end[episode, :count]
            assert (start >= 0).all()
            assert (end >= start).all()
            late.append(start - allowed(timeline, node.name, episode))
        found = np.concatenate(late)
        assert (found >= 0).all(), f"{node.name} started before the rules allow it"
        np.testing.assert_array_equal(found, np.asarray(lateness[node.name])[: len(found)])
    for edge in spec.edges:
        source, target, messages = (
            timeline.steps[edge.source],
            timeline.steps[edge.target],
            timeline.messages[edge.name],
        )
        there = messages.arrive < NEVER
        assert (messages.arrive[there] >= source.end[there]).all()
        if edge.blocking:
            node = spec.node(edge.target)
            last = scheduled(node.rate, phases(spec)[edge.target], int(target.count.max()) + 1)[-1]
            required = Schedule(spec, int(last)).required(edge)
            want = blocking_readers(required, messages.arrive.shape[1], target.count)
        else:
            due = messages.arrive
            if edge.jitter == "buffer":
                expected = Schedule(spec, 0).expected_arrival(edge, due.shape[1])
                due = np.maximum(due, expected)
            strictly = edge.skip and edge.jitter == "latest"
            want = first_readers(due, target.start, target.count, strictly=strictly)
        np.testing.assert_array_equal(messages.reader[there], want[there])


def any_system(number: int, max_nodes: int):
    """Runs a test on random systems that lose no message, without the minutes of shrinking one that fails."""
    options = {"deadline": None, "suppress_health_check": list(HealthCheck), "phases": [Phase.generate]}
    return lambda test: settings(max_examples=number, **options)(
        given(systems(max_nodes=max_nodes, losses=(0.0,)))(test)
    )


@any_system(1, max_nodes=2)
def test_a_recording_keeps_the_rules_and_replays_to_the_same_numbers(
    tmp_path_factory: pytest.TempPathFactory, system: System
) -> None:
    check_replay(system, tmp_path_factory.mktemp("wall"))


@pytest.mark.slow
@any_system(8, max_nodes=6)
def test_recordings_of_many_systems_replay_to_the_same_numbers(
    tmp_path_factory: pytest.TempPathFactory, system: System
) -> None:
    check_replay(system, tmp_path_factory.mktemp("wall"))


def check_replay(system: System, path: Path) -> None:
    """A real recording keeps the rules, and the stepper on its timeline makes the same numbers of it."""
    outcome, recording = record(system, path, seconds=0.7)
    timeline = recording.timeline()
    check_rules(timeline, dict(outcome.lateness))
    memory = InMemoryRecorder()
    stepper = Stepper(system, timeline, memory)
    state, _ = stepper.reset(stepper.init(jax.random.fold_in(KEY, 0)))
    for _ in range(int(timeline.num_steps[0])):
        state = stepper.run(state)
    for name in system.nodes:
        values = recording.values(name, "state")
        try:
            replayed = memory.steps(name)[0].state
        except RexError:
            continue
        count = len(replayed.count)
        np.testing.assert_array_equal(values["count"][0, :count], replayed.count)
        np.testing.assert_allclose(values["value"][0, :count], replayed.value, rtol=1e-4, atol=1e-5)


def test_every_step_is_called_once_and_the_last_tick_of_the_supervisor_not_at_all(tmp_path: Path) -> None:
    nodes = [Diary(), Diary(), Diary()]
    outcome, recording = record(chain(*nodes), tmp_path, steps=40)
    timeline = recording.timeline()
    assert nodes[2].ticks == list(range(40))
    assert timeline.steps["n2"].count.tolist() == [41]
    for name, node in zip(("n0", "n1"), nodes, strict=False):
        assert node.ticks == list(range(int(timeline.steps[name].count[0])))
    for node in nodes:
        assert node.calls[0] == "startup"
        assert node.calls[-1] == "stop"
        assert node.calls.count("startup") == node.calls.count("stop") == 1
    assert outcome.steps == 40
    check_rules(timeline, dict(outcome.lateness))


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


def test_episodes_follow_one_another_each_from_its_own_start(tmp_path: Path) -> None:
    outcome, recording = record(chain(Counter(), Counter()), tmp_path, steps=10, episodes=3)
    timeline = recording.timeline()
    assert timeline.num_steps.tolist() == [10, 10, 10]
    assert recording.values("n0", "state")[""][:, 0].tolist() == [1, 1, 1]
    assert outcome.episodes == 3
    check_rules(timeline, dict(outcome.lateness))


def test_an_episode_of_some_seconds_ends_then(tmp_path: Path) -> None:
    node = Diary()
    _, recording = record(chain(node, rate=100.0), tmp_path, seconds=0.25)
    start = recording.timeline().steps["n0"].start[0]
    assert 25 <= len(start) == len(node.ticks) <= 26
    assert start[-1] <= 0.25e9


@pytest.mark.parametrize(("scheduling", "missed"), [("frequency", True), ("phase", False)])
def test_a_late_node_keeps_its_spacing_or_catches_up(tmp_path: Path, scheduling: str, missed: bool) -> None:
    node = Diary(sleeper(0.06, tick=3))
    outcome, recording = record(chain(node, rate=100.0, scheduling=scheduling), tmp_path, steps=30)
    check_rules(recording.timeline(), dict(outcome.lateness))
    assert node.ticks == list(range(30))
    assert (outcome.punctuality[0].missed >= 4) == missed


def test_a_step_may_say_that_it_took_place_later_but_not_after_its_end(tmp_path: Path) -> None:
    def act(state):
        time.sleep(0.004)
        by = [0.003, 5.0, -1.0][int(state.seq) % 3]
        return state.replace(ts=state.ts + by), np.float32(0)

    _, recording = record(chain(Diary(act), rate=50.0), tmp_path, steps=9)
    steps = recording.timeline().steps["n0"]
    took = (steps.end - steps.start)[0, :9] / 1e9
    assert (took[0::3] >= 0.0009).all()
    np.testing.assert_array_equal(took[1::3], 0.0)
    assert (took[2::3] >= 0.004).all()


def test_a_node_that_blocks_does_not_hold_up_the_others(tmp_path: Path) -> None:
    slow, fast = Diary(sleeper(0.08)), Diary()
    nodes = [(NodeSpec("slow", 10.0), slow), (NodeSpec("fast", 200.0), fast)]
    edge = Edge("e", "slow", "fast", "slow", expected_delay=0.0)
    outcome, recording = record(System(nodes, [edge], "fast"), tmp_path, seconds=0.6)
    check_rules(recording.timeline(), dict(outcome.lateness))
    assert len(fast.ticks) > 100
    assert outcome.punctuality[1].late_p50 < 0.02


@pytest.mark.parametrize(("thread", "threads"), [("auto", 2), ("own", 2), ("shared", 1)])
def test_a_nodes_thread_is_the_same_from_startup_to_stop(thread: str, threads: int) -> None:
    seen: list[list[int]] = [[], []]

    def noting(place: int) -> Diary:
        note = lambda *_: seen[place].append(threading.get_ident())  # noqa: E731
        return Diary(act=note, begin=note, end=note)

    WallClock(chain(noting(0), noting(1), thread=thread)).run(KEY, steps=5).check()
    assert all(len(each) >= 7 and len(set(each)) == 1 for each in seen)
    assert len({each[0] for each in seen}) == threads


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


def test_inputs_and_parameters_are_recorded_on_demand(tmp_path: Path) -> None:
    from rexcli.system.spec import RecordSettings

    settings = RecordSettings(params=True, inputs=True)
    _, recording = record(chain(Counter(), Counter(), record=settings), tmp_path, steps=8)
    inputs = recording.values("n1", "inputs")
    assert inputs["before.seq"][0, :8, 0].tolist() == list(range(8))
    sent = recording.timeline().steps["n0"].end[0, :8] / 1e9
    np.testing.assert_allclose(inputs["before.ts_sent"][0, :8, 0], sent, rtol=1e-6)


def test_a_step_that_changes_its_state_is_refused_before_anything_starts() -> None:
    class Grows(Counter):
        def step(self, step_state):
            return step_state.replace(state=(step_state.state, 1)), step_state.ts

    class Widens(Counter):
        def step(self, step_state):
            return step_state.replace(state=step_state.state + 0.5), step_state.ts

    for node, word in ((Grows(), "same structure"), (Widens(), "int32, which does not hold")):
        other = Diary()
        with pytest.raises(RexError, match=f"node 'n0': state: .*{word}"):
            WallClock(chain(node, other)).run(KEY, steps=3)
        assert other.calls == []


def test_the_wall_clock_has_but_one_pace() -> None:
    from rexcli import pipeline

    experiment = pipeline.compose("pendulum", "clock=wall", "real_time_factor=2")
    with pytest.raises(RexError, match=r"command line: real_time_factor=2: the wall clock runs in real time"):
        pipeline.record_wall(experiment, pipeline.build(experiment))


@pytest.mark.parametrize(
    "words", ["wall.watchdog=0", "wall.stop_timeout=-1", "wall.nan=maybe", "wall.priority=100", "wall.spin=1"]
)
def test_settings_are_checked(words: str) -> None:
    from rexcli import pipeline

    with pytest.raises(RexError, match=words.partition("=")[0]):
        pipeline.compose("pendulum", words)


def test_a_step_that_cannot_be_jitted_runs_as_plain_python(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Branches(Counter):
        def step(self, step_state):
            bonus = 1.0 if step_state.seq % 2 == 0 else 0.0
            return step_state.replace(state=step_state.state.at[()].add(1)), step_state.ts * 0 + bonus

    _, recording = record(chain(Branches(), Counter()), tmp_path, steps=6)
    assert recording.values("n0", "output")[""][0, :6].tolist() == [1, 0, 1, 0, 1, 0]
    assert "cannot be jitted" in caplog.text
