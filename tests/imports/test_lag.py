"""Lags that no stamp tells are found by what follows a command."""

from __future__ import annotations

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
from rexcli.imports import lag
from rexcli.runs.view import find_run
from tests.imports.conftest import Import, Refused
from tests.imports.foreign import ARM, MS, START, floats, joints, write_bag, write_conf


@pytest.mark.slow
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
