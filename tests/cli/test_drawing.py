"""Pictures that other processes draw are those that this one draws, and none is missing when a process dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from rexcli.cli import drawing
from rexcli.cli.main import main
from rexcli.config.key_origins import Origins
from rexcli.config.project import Project, find_project
from rexcli.errors import RexError
from rexcli.plot import draw_run
from rexcli.runs.view import RunView, find_run

PENDULUM = {"pendulum": "nodes.pendulum.picture.Pendulum"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunView, Project]]:
    folder = tmp_path_factory.mktemp("drawn")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["init", ".", "--example", "pendulum", "--quiet"]) == 0
        with patch.context() as undrawn:
            undrawn.setattr("rexcli.plot.draw_and_log", lambda *_: [])
            assert main(["record", "conf=pendulum", "record.steps=20", "--quiet"]) == 0
        yield find_run("latest", folder / "outputs"), find_project()


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands of this process draw in other processes."""
    monkeypatch.setattr(drawing, "_allowed", True)
    monkeypatch.setattr(drawing, "_starting", None)
    monkeypatch.setattr(drawing, "_ahead", None)
    monkeypatch.setattr(drawing, "_workers", made := [])
    monkeypatch.setattr(drawing, "_first_is_ready", Event())
    monkeypatch.setattr(drawing, "_all_are_ready", Event())
    yield
    drawing._all_are_ready.wait()
    for process in made:
        process.close()


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("ahead", [False, True])
def test_other_processes_draw_the_same(run: tuple[RunView, Project], beside: None, tmp_path: Path, ahead: bool) -> None:
    view, project = run
    drawing.start(PENDULUM, project)
    drawing.check(PENDULUM, project, Origins())
    if ahead:
        coming = {name: (view.path / name).read_bytes() for name in ("timeline.npz", "delays.npz")}
        drawing.draw_ahead((view.path / "config.yaml").read_text(), coming)
    drawn = drawing.draw_pictures(view, project, 1e9)
    assert len(drawing._workers) == drawing.PROCESSES
    assert sorted(drawn) == sorted((view.path / "plots").iterdir())
    draw_run(view, tmp_path / "here", project=project)
    assert files(view.path / "plots") == files(tmp_path / "here")
    assert {"pendulum.gif", "system.png", "trajectories.png"} < set(files(tmp_path / "here"))


def test_a_picture_that_does_not_exist_is_refused(run: tuple[RunView, Project], beside: None) -> None:
    wrong = {"pendulum": "nodes.pendulum.picture.Pendulm"}
    drawing.start(wrong, run[1])
    with pytest.raises(RexError, match="did you mean 'Pendulum'"):
        drawing.check(wrong, run[1], Origins())


@pytest.mark.slow
def test_this_process_draws_what_a_dead_one_does_not(run: tuple[RunView, Project], beside: None) -> None:
    view, project = run
    for file in (view.path / "plots").glob("*"):
        file.unlink()
    drawing.start({}, project)
    with drawing._running(drawing._all_are_ready) as processes:
        os.kill(processes[1].pid, signal.SIGKILL)
    drawing.draw_pictures(view, project, 1e9)
    assert {"pendulum.gif", "system.png", "trajectories.png"} < set(files(view.path / "plots"))
    assert drawing._workers == []


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's list of processes")
def test_a_killed_command_leaves_no_process(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "MARK": str(tmp_path)}
    words = ["record", "conf=pendulum", "record.steps=100000"]
    command = subprocess.Popen([sys.executable, "-m", "rexcli", *words], env=environment, cwd=tmp_path)
    began = time.monotonic()
    while not list(tmp_path.glob("**/recording.mcap")) and time.monotonic() < began + 60:
        time.sleep(0.1)
    assert len(marked(tmp_path)) >= 1 + drawing.PROCESSES
    command.kill()
    command.wait()
    while marked(tmp_path) and time.monotonic() < began + 90:
        time.sleep(0.1)
    assert marked(tmp_path) == []


def marked(mark: Path) -> list[str]:
    """Returns the processes with this mark in their environment."""
    found = []
    for each in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"MARK={mark}".encode() in each.read_bytes():
                found.append(each.parent.name)
        except OSError:
            continue
    return found
