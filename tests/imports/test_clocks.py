"""Clocks that differ, and lags that no stamp tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.cli import fit
from rexcli.cli.main import main
from rexcli.config.project import Project
from rexcli.errors import RexError
from rexcli.imports import clocks, lag
from rexcli.runs.view import find_run
from tests.imports.conftest import Import
from tests.imports.foreign import MS, START, floats, joints, write_bag, write_conf

Refused = Callable[..., str]


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


@given(st.integers(0, 2**31), st.integers(0, 800), st.sampled_from([10.0, 30.0, 50.0, 120.0]), st.floats(-5, 5))
@settings(deadline=None, max_examples=30)
def test_a_planted_lag_is_found(seed: int, planted: int, rate: float, gain: float) -> None:
    """Of a signal that is sampled at times of its own, with noise, at any scale."""
    rng = np.random.default_rng(seed)
    gain = gain if abs(gain) > 0.1 else 1.0
    sent = np.sort(np.rint(1e9 * (np.arange(600) / rate + rng.uniform(0, 0.2 / rate, 600))).astype(np.int64))
    commands = np.cumsum(rng.normal(size=600)) * 0.1
    seen = np.sort(rng.integers(0, sent[-1], 3000))
    newest = np.searchsorted(sent, seen - planted * MS, side="right") - 1
    responses = 3 + gain * np.where(newest < 0, 0.0, commands[np.maximum(newest, 0)]) + rng.normal(0, 1e-3, 3000)
    found = lag.estimate(sent, commands, seen, responses, 10**9)
    assert abs(found.lag - planted * MS) < 5 * MS
    assert found.shortest <= found.lag


def test_a_lag_of_whole_frames(imported: Import) -> None:
    """Where command and response are noted together, a lag is known to a frame: the longest is taken."""
    sent = np.rint(np.arange(300) / 30 * 1e9).astype(np.int64)
    commands = np.sin(np.arange(300) / 5)
    found = lag.estimate(sent, commands, sent, np.roll(commands, 4), 10**9)
    assert found.lag == pytest.approx(4e9 / 30, abs=2)
    assert found.shortest == pytest.approx(3e9 / 30, abs=2)


@pytest.mark.parametrize(
    ("commands", "responses", "message"),
    [
        (np.ones(300), np.arange(300.0), "command is constant, 1"),
        (np.arange(300.0), np.full(300, 2.5), "response is constant, 2.5"),
        (np.arange(30.0), np.arange(30.0), "too few"),
        (np.random.default_rng(0).normal(size=300), np.random.default_rng(1).normal(size=300), "do not resemble"),
        (np.full((300, 2), 1.0), np.arange(300.0), r"command has \[2\] numbers a message"),
        (np.where(np.arange(300) == 7, np.nan, 1.0), np.arange(300.0), "not finite"),
    ],
)
def test_what_tells_no_lag_is_refused(commands: np.ndarray, responses: np.ndarray, message: str) -> None:
    times = np.rint(np.arange(len(commands)) / 30 * 1e9).astype(np.int64)
    with pytest.raises(RexError, match=message):
        lag.estimate(times, commands, times, responses, 10**9)


ARM = """
defaults: [base, _self_]
supervisor: agent
nodes:
  agent: {_target_: nodes.robot.Agent, rate: 50}
  arm: {_target_: nodes.robot.Arm, rate: 100}
edges:
  agent_arm: {from: agent, to: arm}
  arm_agent: {from: arm, to: agent, skip: true}
import:
  nodes:
    agent: {topic: /cmd, output: 'data[0]'}
    arm: {topic: /joints, capture: header.stamp, output: position}
  edges:
    agent_arm: {lag: {command: 'data[0]', response: 'position[joint1]'}}
    arm_agent: {receive: log}
"""


def arm_messages(planted: int = 133 * MS, offset: int = 0, drift: float = 0.0, constant: bool = False):
    """An arm that follows commands after a while, with stamps of a clock of its own."""
    rng = np.random.default_rng(3)
    sent = np.rint(1e9 * (np.arange(1000) / 50 + rng.uniform(0, 0.002, 1000))).astype(np.int64)
    angle = np.zeros(1000) if constant else np.cumsum(rng.normal(size=1000))
    seen = (np.arange(2000) * 10 * MS + rng.integers(0, MS, 2000)).astype(np.int64)
    newest = np.searchsorted(sent, seen - planted, side="right") - 1
    followed = np.where(newest < 0, 0.0, angle[np.maximum(newest, 0)])
    stamps = seen + offset + np.rint(drift * seen).astype(np.int64)
    noted = seen + rng.integers(MS // 5, 2 * MS, 2000)
    messages = [("/cmd", START + time, floats(value, 0)) for time, value in zip(sent, angle, strict=True)]
    return messages + [
        ("/joints", START + log, joints(START + stamp, 0.0, value))
        for log, stamp, value in zip(noted, stamps, followed, strict=True)
    ]


@pytest.mark.parametrize("clock", [None, "arm_pc"])
def test_133_ms_between_command_and_response(
    imported: Import, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: str | None
) -> None:
    """From a bag to `rex fit`, on one clock and on two that are 2.5 s and 40 µs/s apart."""
    monkeypatch.setattr(fit, "finish", lambda job, run, result, delays: result)
    text = ARM if clock is None else ARM.replace("capture: header.stamp", f"capture: header.stamp, clock: {clock}")
    write_conf(project.root, text)
    off = (0, 0.0) if clock is None else (2500 * MS, 4e-5)
    run = imported(write_bag(tmp_path / "bag", arm_messages(133 * MS, *off)), "conf=robot")
    if clock is not None:
        assert run.results["clock arm_pc offset s"] == pytest.approx(-2.5, abs=1e-3)
        assert run.results["clock arm_pc drift"] == pytest.approx(-4e-5, abs=1e-5)
        table = run.csv("import.csv")
        (row,) = table["from"][table["of"] == clock]
        assert "one way alone" in str(row)
    assert main(["fit", "latest:import", "--quiet"]) == 0
    delays = yaml.safe_load((find_run("latest:fit", project.outputs).path / "delays.yaml").read_text())
    assert delays["edges"]["agent_arm"]["delay"] == pytest.approx(0.133, abs=0.005)


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


@pytest.mark.slow
def test_signals_that_tell_nothing_are_one_line(refused: Refused, project: Project, tmp_path: Path) -> None:
    write_conf(project.root, ARM)
    still = write_bag(tmp_path / "still", arm_messages(constant=True))
    assert "import.edges.agent_arm.lag: command is constant, 0" in refused(still, "conf=robot")
    bag = write_bag(tmp_path / "bag", arm_messages())
    assert "explains the response best; give a larger max" in refused(
        bag, "conf=robot", "import.edges.agent_arm.lag.max=0.1"
    )
    assert "are too few: 20 are needed" in refused(bag, "conf=robot", "import.edges.agent_arm.lag.max=19.9")
    assert "no field 'position[joint9]'" in refused(
        bag, "conf=robot", "import.edges.agent_arm.lag.response='position[joint9]'"
    )
