"""The toy project of the config tests, and what a sweep in it has come to."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rexcli.config.project import Project
from rexcli.runs.view import RunView
from rexcli.sweep.folder import collect
from tests.config.conftest import toy

__all__ = ["toy"]

HERE = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture takes as long as a job; one test looks at it."""
    if request.node.name != "test_a_sweep_is_drawn":
        monkeypatch.setattr("rexcli.plot.draw_run", lambda *_: [])


def folder_of(project: Project) -> Path:
    (file,) = project.outputs.rglob("sweep.json")
    return file.parent


def statuses(project: Project) -> list[str]:
    return [row.status for row in collect(folder_of(project))]


def table(project: Project) -> list[dict[str, str]]:
    with (folder_of(project) / "sweep.csv").open() as text:
        return list(csv.DictReader(text))


def runs_started(project: Project) -> list[str]:
    """When each job's run began: what tells a run from one that took its place."""
    return [RunView(path.parent).started for path in sorted(folder_of(project).glob("[0-9]*/run.json"))]


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


@pytest.fixture
def start(toy: Project) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Runs `rex nap -m …` in a process group of its own, as a shell does."""
    started = []

    def popen(*words: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.sweep.sleeping_command", *words],
            cwd=toy.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield popen
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def is_running(project: Project, job: int) -> Callable[[], bool]:
    return lambda: any(path.parent.name == str(job) for path in project.outputs.rglob("started.json"))
