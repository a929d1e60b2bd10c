"""In real time: every step once, when the rules allow; what was recorded is what happened."""

from __future__ import annotations

import threading
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
from rexcli.runtime.wall.session import Outcome
from rexcli.runtime.wall.wall_clock import WallClock
from rexcli.system.system import System
from rexcli.timeline.phases import advances, phases
from rexcli.timeline.reading import blocking_readers, first_readers
from rexcli.timeline.schedule import Schedule, scheduled
from rexcli.timeline.spec import NEVER
from rexcli.timeline.timeline import Timeline
from tests.random_systems import systems
from tests.runtime.wall.robots import Diary, chain

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


@pytest.mark.parametrize(("thread", "threads"), [("auto", 2), ("own", 2), ("shared", 1)])
def test_a_nodes_thread_is_the_same_from_startup_to_stop(thread: str, threads: int) -> None:
    seen: list[list[int]] = [[], []]

    def noting(place: int) -> Diary:
        note = lambda *_: seen[place].append(threading.get_ident())  # noqa: E731
        return Diary(act=note, begin=note, end=note)

    WallClock(chain(noting(0), noting(1), thread=thread)).run(KEY, steps=5).check()
    assert all(len(each) >= 7 and len(set(each)) == 1 for each in seen)
    assert len({each[0] for each in seen}) == threads


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
