"""What was measured of an episode stays, and the rest follows from the rules of time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.config.project import Project
from rexcli.imports.episode import in_order
from rexcli.timeline.spec import NEVER
from tests.imports.conftest import Import
from tests.imports.foreign import ROBOT, robot_messages, write_bag, write_conf


def test_a_step_that_waits_starts_with_what_it_waits_for(imported: Import, project: Project, tmp_path: Path) -> None:
    messages, true = robot_messages()
    write_conf(project.root, ROBOT.replace("window: 2", "window: 2, blocking: true").replace(", delay: 0.004", ""))
    run = imported(write_bag(tmp_path / "bag", messages), "conf=robot")
    steps, arrive = run.timeline().steps["agent"], true["received"]
    newest = arrive[np.searchsorted(arrive, true["acted"], side="right") - 1]
    np.testing.assert_array_equal(steps.start[0], newest)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-9, 9) | st.just(NEVER), max_size=8))
def test_nothing_overtakes_and_what_never_arrives_holds_nobody_up(arrive: list[int]) -> None:
    kept = in_order(np.array(arrive, np.int64)).tolist()
    for place, (before, after) in enumerate(zip(arrive, kept, strict=True)):
        there = [each for each in arrive[: place + 1] if each < NEVER]
        assert after == (max(there) if before < NEVER else NEVER)
