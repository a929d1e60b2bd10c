"""Executions, their timelines and recordings, and what is said of two that should be alike."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from hypothesis import assume

from rexcli.errors import RexError
from rexcli.runs.recording import RecordingWriter, read_recording
from rexcli.timeline.simulate import simulate
from rexcli.timeline.spec import NEVER, EdgeTiming, NodeTiming, SystemTiming
from rexcli.timeline.timeline import Timeline
from tests.timeline.systems import Delays

MS = 1_000_000
T = TypeVar("T")
INTEGERS = ("bool", "int8", "uint8", "int32", "uint32", "int64", "uint64")
ALONE = SystemTiming((NodeTiming("arm", 10.0),), (), "arm")
CHAIN = SystemTiming(
    nodes=(
        NodeTiming("world", 50.0, 19 * MS),
        NodeTiming("sensor", 50.0, 7 * MS),
        NodeTiming("agent", 50.0, 5 * MS),
        NodeTiming("actuator", 50.0, 7 * MS),
    ),
    edges=(
        EdgeTiming("world_sensor", "world", "sensor"),
        EdgeTiming("sensor_agent", "sensor", "agent", window=3, blocking=True, expected_delay=2 * MS),
        EdgeTiming("agent_actuator", "agent", "actuator", blocking=True, expected_delay=2 * MS),
        EdgeTiming("actuator_world", "actuator", "world", skip=True, expected_delay=2 * MS),
    ),
    supervisor="agent",
)


def chain_timeline(episodes: int = 2, steps: int = 20, seed: int = 0) -> Timeline:
    """Four nodes in a loop, as in the pendulum, with random delays."""
    rng = np.random.default_rng(seed)
    draws: dict[tuple[str, str], np.ndarray] = {}

    def sample(kind: str, name: str, ticks: int) -> np.ndarray:
        known = draws.get((kind, name), np.zeros((episodes, 0), np.int64))
        more = rng.integers(0, 9 * MS, (episodes, max(0, ticks - known.shape[1])))
        draws[kind, name] = np.concatenate([known, more], axis=1)
        return draws[kind, name][:, :ticks]

    return simulate(CHAIN, sample, episodes=episodes, steps=steps)


Event = tuple[int, int, int, str, int]


def events(timeline: Timeline) -> list[Event]:
    """`(episode, start, kind, name, seq)` in order of execution; messages (kind 0) before the step they come from."""
    found: list[Event] = []
    for name, steps in timeline.steps.items():
        outputs = [edge.name for edge in timeline.spec.outputs(name)]
        for episode, tick in np.argwhere(np.arange(steps.start.shape[1]) < steps.count[:, None]).tolist():
            start = int(steps.start[episode, tick])
            found.append((episode, start, 1, name, tick))
            found += [(episode, start, 0, edge, tick) for edge in outputs]
    return sorted(found)


def record(writer: RecordingWriter, timeline: Timeline, which: list[Event]) -> None:
    """Records events of a timeline; every step carries its own tick and start, so that a mix-up shows."""
    for episode, start, kind, name, seq in which:
        if kind == 0:
            edge, messages = timeline.spec.edge(name), timeline.messages[name]
            sent = int(timeline.steps[edge.source].end[episode, seq])
            writer.message(
                episode, name, seq, sent, int(messages.arrive[episode, seq]), int(messages.reader[episode, seq])
            )
        else:
            end = int(timeline.steps[name].end[episode, seq])
            fields = {"state": {"tick": np.int32(seq), "start": np.int64(start)}, "output": {"": np.full(2, 0.1, "f4")}}
            writer.step(episode, name, seq, start, end, fields)


def recorded(path: Path, timeline: Timeline, which: list[Event] | None = None, complete: bool = True) -> Path:
    """A recording of a timeline, or of some of its events."""
    with RecordingWriter(path, timeline.spec) as writer:
        record(writer, timeline, events(timeline) if which is None else which)
        writer.close(complete=complete)
    return path


def arrays(timeline: Timeline) -> Iterator[tuple[str, np.ndarray]]:
    """Every array of a timeline with its name, to compare two."""
    for name, steps in timeline.steps.items():
        yield f"{name} start", steps.start
        yield f"{name} end", steps.end
        yield f"{name} count", steps.count
    for name, messages in timeline.messages.items():
        yield f"{name} arrive", messages.arrive
        yield f"{name} reader", messages.reader


def assert_same(one: Timeline, other: Timeline) -> None:
    assert one.spec == other.spec
    for (name, left), (_, right) in zip(arrays(one), arrays(other), strict=True):
        np.testing.assert_array_equal(left, right, err_msg=name)


def attempt(action: Callable[[], T]) -> T | str:
    """What `action` returns, or what its error says."""
    try:
        return action()
    except RexError as error:
        return str(error)


def assert_prefix(cut: Timeline, whole: Timeline) -> None:
    """`cut` is a valid timeline and agrees with `whole` as far as it goes."""
    episodes = cut.num_episodes
    assert 1 <= episodes <= whole.num_episodes
    last = cut.steps[cut.spec.supervisor].start[np.arange(episodes), cut.num_steps]
    for name, steps in cut.steps.items():
        original = whole.steps[name]
        if name == cut.spec.supervisor:
            assert (steps.count <= original.count[:episodes]).all()
        else:
            np.testing.assert_array_equal(steps.count, (original.start[:episodes] <= last[:, None]).sum(axis=1))
        there = np.arange(steps.start.shape[1]) < steps.count[:, None]
        for part in ("start", "end"):
            expected = getattr(original, part)[:episodes, : steps.start.shape[1]]
            np.testing.assert_array_equal(getattr(steps, part), np.where(there, expected, NEVER))
    for edge in cut.spec.edges:
        messages, original_messages = cut.messages[edge.name], whole.messages[edge.name]
        source, target = cut.steps[edge.source], cut.steps[edge.target]
        width = source.start.shape[1]
        there = np.arange(width) < source.count[:, None]
        reader = original_messages.reader[:episodes, :width]
        read = there & (reader >= 0) & (reader < target.count[:, None])
        np.testing.assert_array_equal(messages.reader, np.where(read, reader, -1))
        expected = np.where(there, original_messages.arrive[:episodes, :width], NEVER)
        np.testing.assert_array_equal(messages.arrive, expected)


def through_file(fields: list[Mapping[str, Mapping[str, np.ndarray]]], field: str) -> dict[str, np.ndarray]:
    """Records steps of one node and reads one field of all of them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "recording.mcap")
        with RecordingWriter(path, ALONE) as writer:
            for tick, step in enumerate(fields):
                writer.step(0, "arm", tick, tick, tick + 1, step)
        assert writer.failed is None
        return read_recording(path).values("arm", field)


def simulated(case: tuple[SystemTiming, Delays], episodes: int, steps: int) -> Timeline:
    """Simulates a drawn case; one that no clock can execute is left out."""
    spec, delays = case
    try:
        return simulate(spec, replace(delays, episodes=tuple(range(episodes))), episodes=episodes, steps=steps)
    except RexError as refusal:
        assume("infinitely fast" not in str(refusal))
        raise
