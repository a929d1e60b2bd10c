"""However it ends: no further step, `stop` on every node, the reason told, all that happened recorded."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from rexcli.config.schema import WallSettings
from rexcli.errors import RunError, Terminated
from rexcli.runs.recording import RecordingWriter, read_recording
from rexcli.runtime.wall.session import Outcome
from rexcli.runtime.wall.wall_clock import WallClock
from rexcli.system.spec import Thread
from tests.runtime.wall.robots import Counter, Diary, chain, sleeper

KEY = jax.random.key(0)
QUICK = WallSettings(stop_timeout=0.5)
PATIENT = WallSettings(stop_timeout=30, watchdog=None)
"""For a machine that is busy with other tests: only what the test does ends the run."""
THREADS = pytest.mark.parametrize("thread", ["auto", "shared"])


def explode(state: Any) -> None:
    if int(state.seq) == 7:
        raise ValueError("the cable is off")


def send_nan(state: Any) -> Any:
    return np.float32(np.nan if int(state.seq) == 7 else 0.0)


def send_two(state: Any) -> Any:
    return (state, (np.float32(0), np.float32(0))) if int(state.seq) == 7 else None


def send_wide(state: Any) -> Any:
    return np.zeros(3, np.float32) if int(state.seq) == 7 else None


def return_nothing(state: Any) -> Any:
    return (None, 1.0) if int(state.seq) == 7 else None


def end(nodes: list[Diary], path: Path, settings: WallSettings = QUICK, thread: Thread = "auto") -> tuple[Outcome, Any]:
    system = chain(*nodes, thread=thread)
    with RecordingWriter(path / "r.mcap", system.timing) as writer:
        outcome = WallClock(system, writer, settings=settings).run(KEY, steps=10_000)
        writer.close(complete=True)
    return outcome, read_recording(path / "r.mcap")


@pytest.mark.parametrize(
    ("place", "act", "message"),
    [
        (0, explode, r"step 7 raised ValueError: the cable is off .*test_session_ends.py"),
        (2, explode, r"step 7 raised ValueError: the cable is off"),
        (0, send_nan, r"step 7 sends NaN"),
        (1, send_two, r"output: step returns .*same structure \(step 7\)"),
        (1, send_wide, r"shape \(3,\).*same shape \(step 7\)"),
        (2, return_nothing, r"return step_state, output \(step 7\)"),
    ],
)
def test_a_step_that_goes_wrong_ends_the_run(
    tmp_path: Path, place: int, act: Callable[[Any], Any], message: str
) -> None:
    nodes = [Diary(), Diary(), Diary()]
    nodes[place].act = act
    outcome, recording = end(nodes, tmp_path)
    with pytest.raises(RunError, match=rf"node 'n{place}'.*{message}") as caught:
        outcome.check()
    assert caught.value.exit_code == 1
    assert nodes[place].ticks == list(range(8))
    for index, node in enumerate(nodes):
        assert node.calls[-1] == "stop"
        assert node.calls.count("stop") == 1
        if index > place:
            assert len(node.ticks) <= 7, "what went wrong was read"
        kept = recording.timeline().steps[f"n{index}"].count[0]
        assert kept == len(node.ticks) - (index == place and act is not send_nan)


def test_nan_may_be_allowed(tmp_path: Path) -> None:
    nodes = [Diary(send_nan), Diary()]
    outcome = WallClock(chain(*nodes), settings=WallSettings(nan="allow")).run(KEY, steps=12)
    assert outcome.error is None


def test_a_jitted_step_that_sends_nan_ends_the_run() -> None:
    class Divides(Counter):
        def step(self, step_state):
            away = 5.0 - step_state.seq
            return step_state.replace(state=step_state.state + 1), away / away

    reader = Diary()
    outcome = WallClock(chain(Divides(), reader)).run(KEY, steps=20)
    with pytest.raises(RunError, match="node 'n0': step 5 sends NaN"):
        outcome.check()
    assert reader.ticks == list(range(5))
    assert reader.calls[-1] == "stop"


@THREADS
def test_a_step_that_hangs_is_left_behind_and_all_nodes_are_stopped(tmp_path: Path, thread: Thread) -> None:
    release = threading.Event()
    nodes = [Diary(), Diary(lambda state: release.wait(30) if int(state.seq) == 4 else None), Diary()]
    began = time.monotonic()
    outcome, recording = end(nodes, tmp_path, thread=thread)
    took = time.monotonic() - began
    with pytest.raises(RunError, match=r"node 'n1': step 4 has not ended after .*wall.watchdog=10 periods of 0.005 s"):
        outcome.check()
    assert took < 5
    assert all(node.calls[-1] == "stop" for node in nodes)
    assert recording.timeline().steps["n1"].count[0] == 4
    before = [list(node.calls) for node in nodes]
    release.set()
    time.sleep(0.05)
    assert [list(node.calls) for node in nodes] == before, "a step started after the end"


@THREADS
def test_a_stop_that_fails_or_hangs_keeps_no_other_node_from_stopping(thread: Thread) -> None:
    def fail() -> None:
        raise OSError("no power")

    release = threading.Event()
    nodes = [Diary(end=fail), Diary(end=lambda: release.wait(30)), Diary(end=lambda: False), Diary()]
    outcome = WallClock(chain(*nodes, thread=thread), settings=QUICK).run(KEY, steps=3)
    release.set()
    assert [node.calls[-1] for node in nodes] == ["stop"] * 4
    with pytest.raises(RunError, match=r"'n0' raised OSError: no power.*'n1' does not end.*'n2' returned False"):
        outcome.check()


@THREADS
@pytest.mark.parametrize("how", ["raises", "refuses", "hangs"])
def test_a_startup_that_fails_starts_no_step_and_stops_all(how: str, thread: Thread) -> None:
    release = threading.Event()

    def begin() -> bool:
        if how == "raises":
            raise OSError("no power")
        return release.wait(30) if how == "hangs" else False

    nodes = [Diary(), Diary(begin=begin), Diary()]
    settings = WallSettings(startup_timeout=0.2, stop_timeout=0.5)
    outcome = WallClock(chain(*nodes, thread=thread), settings=settings).run(KEY, steps=3)
    release.set()
    word = {"raises": "raised OSError: no power", "refuses": "returned False", "hangs": "startup_timeout"}[how]
    with pytest.raises(RunError, match=f"node 'n1': startup.*{word}"):
        outcome.check()
    assert all(node.ticks == [] and "stop" in node.calls for node in nodes)
    assert nodes[2].calls == ["stop"]


def interrupted(nodes: list[Diary], path: Path, number: int, after: float) -> tuple[Outcome, Any]:
    """Runs until this process is sent a signal, `after` seconds from the first startup on."""
    timer = threading.Timer(after, os.kill, (os.getpid(), number))
    nodes[0].begin = lambda: timer.start()
    return end(nodes, path, PATIENT)


def signals_at_random_moments(path: Path, times: int) -> None:
    rng = np.random.default_rng(1)
    for turn in range(times):
        number = [signal.SIGINT, signal.SIGTERM][turn % 2]
        nodes = [Diary(), Diary(sleeper(0.001)), Diary()]
        before = signal.getsignal(number)
        outcome, recording = interrupted(nodes, path, number, float(rng.uniform(0, 0.15)))
        assert signal.getsignal(number) is before
        assert type(outcome.error) is (KeyboardInterrupt if number == signal.SIGINT else Terminated)
        assert all(node.calls[-1] == "stop" and node.calls.count("stop") == 1 for node in nodes)
        if nodes[2].ticks:
            counts = {name: int(steps.count[0]) for name, steps in recording.timeline().steps.items()}
            assert counts == {f"n{i}": len(node.ticks) for i, node in enumerate(nodes)}


@pytest.mark.slow
def test_signals_at_random_moments_stop_all_nodes(tmp_path: Path) -> None:
    signals_at_random_moments(tmp_path, 10)


@pytest.mark.long
@pytest.mark.slow
def test_twenty_signals_at_random_moments(tmp_path: Path) -> None:
    signals_at_random_moments(tmp_path, 20)


def test_a_signal_during_startup_stops_at_once() -> None:
    release = threading.Event()

    def begin() -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        return release.wait(30)

    nodes = [Diary(begin=begin), Diary()]
    outcome = WallClock(chain(*nodes), settings=QUICK).run(KEY, steps=3)
    release.set()
    assert isinstance(outcome.error, Terminated)
    assert outcome.error.exit_code == 143
    assert [node.calls[-1] for node in nodes] == ["stop", "stop"]


def cycles(number: int) -> None:
    nodes = [Counter(), Diary(), Counter()]
    clock = WallClock(chain(*nodes, rate=1000.0))
    threads = threading.active_count()
    for _ in range(number):
        assert clock.run(KEY, steps=3).check().steps == 3
    assert nodes[1].calls.count("stop") == number
    deadline = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= threads, "threads are left"


def test_starts_and_stops_leave_nothing_behind() -> None:
    cycles(10)


@pytest.mark.slow
def test_hundreds_of_starts_and_stops() -> None:
    cycles(300)
