"""Processes that draw: they answer, pass on what was raised, and are no danger to the command when they die."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rexcli.errors import RexError
from rexcli.plot.drawing_processes import DrawingProcess, draw_picture, find_pictures, list_pictures

ROOT = str(Path(__file__).parents[2])


@pytest.fixture(scope="module")
def process() -> Iterator[DrawingProcess]:
    made = DrawingProcess()
    yield made
    made.close()


def test_it_finds_pictures_and_says_what_is_none(process: DrawingProcess) -> None:
    assert process.call(find_pictures, {"swing": "nodes.pendulum.picture.Pendulum"}, ROOT) is True
    assert process.call(find_pictures, {"swing": "nodes.pendulum.picture.Pendulm"}, ROOT) is False


def test_what_it_raises_is_raised_here(process: DrawingProcess, tmp_path: Path) -> None:
    with pytest.raises(RexError, match=r"no run\.json here"):
        process.call(list_pictures, str(tmp_path))
    with pytest.raises(RexError, match="TypeError"):
        process.call(draw_picture, str(tmp_path))
    assert process.call(find_pictures, {}, ROOT) is True


def test_it_ends_when_its_caller_does_and_its_death_is_noticed() -> None:
    made = DrawingProcess()
    assert made.call(find_pictures, {}, ROOT) is True
    os.kill(made.pid, signal.SIGINT)  # which the command handles
    assert made.call(find_pictures, {}, ROOT) is True
    os.kill(made.pid, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(EOFError):
            made.call(find_pictures, {}, ROOT)
    made = DrawingProcess()
    made.close()
    with pytest.raises(EOFError):
        made.call(find_pictures, {}, ROOT)
