"""Processes that draw: they answer, pass on what was raised, and are no danger to the command when they die."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from rexcli.errors import RexError
from rexcli.plot.processes import Worker


def modules() -> list[str]:
    return list(sys.modules)


def wrong() -> None:
    raise RexError("edges.a: this is wrong")


def broken() -> None:
    raise ZeroDivisionError("on purpose")


@pytest.fixture(scope="module")
def worker() -> Worker:
    return Worker()


def test_a_worker_has_imported_matplotlib_and_not_jax(worker: Worker) -> None:
    worker.ask(modules)
    found = worker.answer()
    assert "rexcli.plot.trajectories" in found or not hasattr(os, "fork")
    assert "jax" not in found


def test_what_a_worker_raises_is_raised_here(worker: Worker) -> None:
    worker.ask(wrong)
    worker.ask(broken)
    worker.ask(abs, -3)
    with pytest.raises(RexError, match=r"edges\.a: this is wrong"):
        worker.answer()
    with pytest.raises(RuntimeError, match="ZeroDivisionError on purpose"):
        worker.answer()
    assert worker.answer() == 3


def test_a_worker_ignores_interrupts_and_its_death_is_noticed(worker: Worker) -> None:
    worker.ask(os.getpid)
    process = worker.answer()
    os.kill(process, signal.SIGINT)
    worker.ask(abs, -3)
    assert worker.answer() == 3
    os.kill(process, signal.SIGKILL)
    worker.ask(abs, -3)
    with pytest.raises(EOFError):
        worker.answer()
    worker.ask(abs, -3)  # nothing is raised by asking again
    with pytest.raises(EOFError):
        worker.answer()
