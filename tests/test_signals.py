"""Signals are raised in the main thread wherever they come, or after what must not be left half done."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rexcli import signals
from rexcli.cli.main import main
from rexcli.errors import Terminated

RAISED = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


@pytest.fixture(autouse=True)
def usual_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in RAISED}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", RAISED)
def test_a_signal_in_a_callback_of_the_garbage_collector_is_not_lost(number: signal.Signals) -> None:
    came: list[str] = []

    def callback(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and not came:
            came.append(phase)
            signal.raise_signal(number)

    def collect() -> None:
        gc.collect()
        assert came, "the callback was not called"
        time.sleep(5)

    gc.callbacks.append(callback)
    try:
        with signals.raise_on_signal(), pytest.raises(RAISED[number]) as caught:
            collect()
    finally:
        gc.callbacks.remove(callback)
    assert type(caught.value) is RAISED[number]


@pytest.mark.parametrize("number", RAISED)
def test_a_deferred_signal_is_raised_after_the_block(number: signal.Signals) -> None:
    done: list[str] = []

    def block() -> None:
        with signals.deferred():
            signal.raise_signal(number)
            done.append("all of it")

    with signals.raise_on_signal(), pytest.raises(RAISED[number]):
        block()
    assert done == ["all of it"]


@pytest.mark.parametrize("number", RAISED)
def test_a_signal_that_came_out_as_another_exception_still_ends_the_command(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Command:
        def main(self, *args: object, **how: object) -> None:
            try:
                signal.raise_signal(number)
            except KeyboardInterrupt:
                raise AttributeError("half of a module") from None

    monkeypatch.setattr("rexcli.cli.main._command_for", lambda words: Command())
    assert main(["ls"]) == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert capsys.readouterr().err in ("interrupted\n", "terminated\n")


@pytest.mark.parametrize("number", RAISED)
def test_a_signal_after_the_end_changes_nothing(number: signal.Signals) -> None:
    program = """
import atexit, os, sys
from rexcli.cli.main import start
atexit.register(os.kill, os.getpid(), int(sys.argv.pop()))
start()
"""
    words = [sys.executable, "-c", program, "--version", str(int(number))]
    done = subprocess.run(words, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


@pytest.mark.parametrize("number", RAISED)
def test_a_postponed_signal_is_raised_after_the_block(number: int) -> None:
    done = []

    def interrupted() -> None:
        with signals.postponed():
            signal.raise_signal(number)
            signal.raise_signal(number)
            done.append(request.error)

    with signals.raise_on_signal() as request:
        with pytest.raises(RAISED[number]):
            interrupted()
        assert done == [None]
        assert type(request.error) is RAISED[number]
        with signals.postponed():
            pass
