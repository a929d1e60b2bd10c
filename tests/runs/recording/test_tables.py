"""Records that may end anywhere become a timeline in which no step is missing."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.runs.recording import RecordingWriter, read_recording
from rexcli.timeline.spec import NodeTiming, SystemTiming
from tests.runs.executions import assert_prefix, assert_same, attempt, chain_timeline, events, recorded, simulated
from tests.timeline.systems import Delays, cases


@settings(max_examples=25, deadline=None)
@given(cases(largest=5), st.integers(1, 2), st.integers(1, 8), st.floats(0, 1), st.booleans())
def test_an_execution_cut_anywhere_leaves_a_shorter_timeline(
    case: tuple[SystemTiming, Delays], episodes: int, steps: int, share: float, all_of_it: bool
) -> None:
    timeline = simulated(case, episodes, steps)
    done = events(timeline)
    done = done if all_of_it else done[: int(share * len(done))]
    with tempfile.TemporaryDirectory() as folder:
        recording = read_recording(recorded(Path(folder, "r.mcap"), timeline, done, complete=False))
        assert not recording.complete
    cut = attempt(recording.timeline)
    if isinstance(cut, str):
        assert "not one whole step of supervisor" in cut
    else:
        assert_prefix(cut, timeline)


def ticks_left(path: Path, rate: float, done: list[tuple[str, int]]) -> list[int]:
    """Ticks that the timeline keeps of supervisor `a` at 10 Hz and of `b`, of which all ran on time in no time."""
    spec = SystemTiming((NodeTiming("a", 10.0), NodeTiming("b", rate)), (), "a")
    with RecordingWriter(path, spec) as writer:
        for node, tick in done:
            start = round(tick * 1e9 / spec.node(node).rate)
            writer.step(0, node, tick, start, start, {})
        writer.close(complete=False)
    timeline = read_recording(path).timeline()
    return [int(timeline.steps[node].count[0]) for node in "ab"]


def test_a_tick_of_the_same_instant_may_be_missing(tmp_path: Path) -> None:
    done = [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2)]
    assert ticks_left(tmp_path / "r.mcap", 10.0, done) == [2, 2]
    assert ticks_left(tmp_path / "r.mcap", 10.0, [*done, ("b", 2)]) == [3, 3]


def test_a_slow_node_that_is_not_yet_due_costs_nothing(tmp_path: Path) -> None:
    done = [("a", 0), ("b", 0), ("a", 1), ("a", 2), ("a", 3), ("a", 4)]
    assert ticks_left(tmp_path / "r.mcap", 2.0, done) == [5, 1]
    assert ticks_left(tmp_path / "r.mcap", 2.0, [*done, ("a", 5), ("a", 6)]) == [5, 1]


def test_an_episode_of_which_no_step_was_recorded_costs_nothing(tmp_path: Path) -> None:
    timeline = chain_timeline(episodes=2)
    first = [event for event in events(timeline) if event[0] == 0]
    after = [event for event in events(timeline) if event[0] == 1][:1]
    assert after[0][2] == 0
    recording = read_recording(recorded(tmp_path / "r.mcap", timeline, first + after, complete=False))
    assert_same(recording.timeline(), timeline.select([0]))


def test_an_interrupted_execution_keeps_nearly_all(tmp_path: Path) -> None:
    timeline = chain_timeline(episodes=2, steps=50)
    done = events(timeline)
    cut = read_recording(recorded(tmp_path / "r.mcap", timeline, done[:-40], complete=False)).timeline()
    assert_prefix(cut, timeline)
    assert cut.num_steps.tolist()[0] == 50
    assert cut.num_steps.tolist()[1] >= 40


def test_a_missing_tick_ends_the_episode_before_it(tmp_path: Path) -> None:
    timeline = chain_timeline(episodes=1)
    kept = [event for event in events(timeline) if event[2:] != (1, "sensor", 7)]
    recording = read_recording(recorded(tmp_path / "r.mcap", timeline, kept))
    assert recording.counts("sensor").tolist() == [7]
