"""`rex plot`: runs and pictures by name, a viewer, and a run that is watched."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path

import pytest

from rexcli.cli import plot, viewer
from rexcli.cli.console import Console
from rexcli.cli.main import main
from rexcli.runs.rundir import Run

CONFIG = "name: toy\nsupervisor: agent\nnodes: {agent: {_target_: nodes.A, rate: 50}}\n"
HEAD = b"seed,update,total_steps,eval/return_mean\n"


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    """A training that has begun."""
    monkeypatch.chdir(tmp_path)
    made = Run.create(tmp_path / "outputs", "toy", "train", argv=["rex", "train"], seed=0, config_yaml=CONFIG)
    made.write_bytes("metrics.csv", HEAD + b"0,1,100,1.0\n0,2,200,2.0\n")
    return made


def drawn(run: Run) -> set[str]:
    return {path.name for path in (run.path / "plots").glob("*")}


def test_words_name_runs_and_pictures(run, capsys):
    with run:
        pass
    assert main(["plot", "latest", "training", "--quiet"]) == 0
    assert drawn(run) == {"training.png"}
    assert main(["plot", "system", "--format", "svg", "--quiet"]) == 0  # of the latest run
    assert drawn(run) == {"training.png", "system.svg"}
    assert main(["plot", "latest", "trainig"]) == 2
    assert "neither a run nor a picture; did you mean 'training'?" in capsys.readouterr().err
    assert main(["plot", "latst"]) == 2
    assert "did you mean 'latest'?" in capsys.readouterr().err
    assert main(["plot", "toy/train/gone", "training"]) == 2
    assert "no run is there" in capsys.readouterr().err


def test_what_was_drawn_opens_in_the_viewer_or_says_why_not(run, monkeypatch, capsys):
    with run:
        pass
    opened: list[list[str]] = []
    monkeypatch.setattr(viewer.sys, "platform", "linux")
    monkeypatch.setattr(viewer.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: opened.append(command))
    monkeypatch.setenv("DISPLAY", ":0")
    assert main(["plot", "latest", "training", "--show", "--quiet"]) == 0
    assert opened == [["xdg-open", str(run.path / "plots" / "training.png")]]
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    capsys.readouterr()
    assert main(["plot", "latest", "training", "--show"]) == 2
    assert "there is no display; open it yourself" in capsys.readouterr().err


def test_a_training_that_goes_on_is_drawn_again_until_its_end(run, monkeypatch):
    monkeypatch.setattr(plot, "EVERY", 0.05)
    seen: list[str] = []
    ended: list[plot.Result] = []
    picture = run.path / "plots" / "training.png"

    class Told(Console):
        def note(self, text: str) -> None:
            seen.append(text)

    def watch() -> None:
        ended.append(plot.plot_runs([str(run.path), "training"], None, Told(), watch=True))

    with run:
        watching = threading.Thread(target=watch)
        watching.start()
        waited_for(lambda: seen)
        before = picture.read_bytes()
        with (run.path / "metrics.csv").open("ab") as rows:
            rows.write(b"0,3,300,9.0\n")
        waited_for(lambda: len(seen) > 1)
        assert picture.read_bytes() != before
        assert watching.is_alive()
    watching.join(30)
    assert [Path(row[1]).name for row in ended[0].tables[0].rows] == ["training.png"]
    assert main(["plot", str(run.path), "--watch"]) == 2


def waited_for(what) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)
