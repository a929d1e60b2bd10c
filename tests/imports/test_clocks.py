"""Clocks that differ are told apart by the messages between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.cli.main import main
from rexcli.config.project import Project
from rexcli.errors import RexError
from rexcli.imports import clocks
from tests.imports.conftest import Import
from tests.imports.foreign import ARM, MS, START, floats, joints, write_bag, write_conf


@given(
    st.integers(0, 2**31),
    st.floats(-3.0, 3.0),
    st.floats(-1e-4, 1e-4),
    st.floats(0.0, 0.05),
    st.sampled_from([0, 10**18]),
)
@settings(deadline=None)
def test_offset_and_drift_from_messages_both_ways(
    seed: int, offset: float, drift: float, least: float, at: int
) -> None:
    """With the same shortest delay both ways, the clock is known to what the delays vary by."""
    rng = np.random.default_rng(seed)
    own = at + np.sort(rng.integers(0, 60 * 10**9, (2, 1000)), axis=1)
    true = np.rint(offset * 1e9 + drift * (own - at)).astype(np.int64)
    delay = np.rint(1e9 * (least + rng.exponential(0.002, own.shape))).astype(np.int64)
    found = clocks.estimate("pc", (own[0], own[0] + true[0] + delay[0]), (own[1], own[1] + true[1] - delay[1]))
    assert np.abs(found.convert(own) - own - true).max() < 0.5 * MS
    assert abs(found.drift - drift) < 2e-5
    assert found.error is not None
    assert found.error >= least * 1e9 - 1


def test_one_way_alone_the_shortest_delay_counts_as_none() -> None:
    rng = np.random.default_rng(1)
    own = np.sort(rng.integers(0, 60 * 10**9, 1000))
    delay = 5 * MS + np.rint(rng.exponential(2 * MS, 1000)).astype(np.int64)
    none = np.zeros(0, np.int64)
    found = clocks.estimate("pc", (own, own + 10**9 + delay), (none, none))
    assert found.error is None
    assert abs(found.offset - 10**9 - 5 * MS) < 0.5 * MS
    known = clocks.estimate("pc", (own, own + 10**9 + delay), (none, none), drift=0.0)
    assert known.drift == 0
    assert known.offset == 10**9 + delay.min()
    with pytest.raises(RexError, match=r"import\.clocks\.pc: 9 messages .* too few"):
        clocks.estimate("pc", (own[:9], own[:9]), (none, none))


def test_133_ms_measured_between_two_clocks(imported: Import, project: Project, tmp_path: Path) -> None:
    """Commands that arrive with their numbers on the arm's clock, and answers that go the other way."""
    write_conf(
        project.root,
        ARM.replace(
            "agent_arm: {lag: {command: 'data[0]', response: 'position[joint1]'}}",
            "agent_arm: {topic: /got, receive: header.stamp, seq: 'position[0]'}",
        )
        .replace("capture: header.stamp", "capture: header.stamp, clock: arm_pc")
        .replace("topic: /cmd", "topic: /cmd, seq: 'data[0]'"),
    )
    rng = np.random.default_rng(0)
    off = -700 * MS
    sent = np.arange(600, dtype=np.int64) * 20 * MS
    got = sent + 133 * MS + rng.integers(-8 * MS, 8 * MS, 600)
    seen = np.arange(1200, dtype=np.int64) * 10 * MS
    messages = [("/cmd", START + time, floats(number)) for number, time in enumerate(sent)]
    messages += [("/got", START + time + MS, joints(START + time + off, number)) for number, time in enumerate(got)]
    messages += [("/joints", START + time + MS // 2, joints(START + time + off, 0.0)) for time in seen]
    path = write_bag(tmp_path / "bag", messages)
    run = main(["import", str(path), "conf=robot"])
    assert run == 2  # numbers that are no whole ones tell no message apart
    text = (project.root / "conf" / "robot.yaml").read_text()
    (project.root / "conf" / "robot.yaml").write_text(
        text.replace("seq: 'position[0]'", "send: header.stamp").replace("seq: 'data[0]'", "")
    )
    assert main(["import", str(path), "conf=robot"]) == 2  # nor has a command a stamp that could be copied
    (project.root / "conf" / "robot.yaml").write_text(
        text.replace(", seq: 'position[0]'", "").replace(", seq: 'data[0]'", "")
    )
    found = imported(path, "conf=robot").timeline()
    delay = (found.messages["agent_arm"].arrive - found.steps["agent"].end)[0]
    # The way to the arm takes long, the way back does not: the shortest of both tells no more than their sum. But what
    # the recorder notes of the arm's other messages is near, and bounds the clock to half of that sum.
    assert abs(float(np.median(delay)) / 1e9 - 0.133) < 0.07
    told = imported(path, "conf=robot", "import.clocks.arm_pc.offset=0.7", "import.clocks.arm_pc.drift=0").timeline()
    delay = (told.messages["agent_arm"].arrive - told.steps["agent"].end)[0]
    assert float(np.median(delay)) / 1e9 == pytest.approx(0.133, abs=0.005)
