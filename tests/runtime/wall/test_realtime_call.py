"""A step is compiled and checked before any clock runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexcli.errors import RexError
from rexcli.runtime.wall.wall_clock import WallClock
from tests.runtime.wall.robots import Counter, Diary, chain
from tests.runtime.wall.test_session import KEY, record


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


def test_a_step_that_cannot_be_jitted_runs_as_plain_python(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Branches(Counter):
        def step(self, step_state):
            bonus = 1.0 if step_state.seq % 2 == 0 else 0.0
            return step_state.replace(state=step_state.state.at[()].add(1)), step_state.ts * 0 + bonus

    _, recording = record(chain(Branches(), Counter()), tmp_path, steps=6)
    assert recording.values("n0", "output")[""][0, :6].tolist() == [1, 0, 1, 0, 1, 0]
    assert "cannot be jitted" in caplog.text
