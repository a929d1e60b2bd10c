"""Sweeps that are stopped, killed and continued come to their end, with a table and a picture."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from rexcli.cli.main import main
from rexcli.config.project import Project
from rexcli.runs.storage import atomic_file
from rexcli.runs.view import RunView, list_runs
from rexcli.sweep.folder import collect, read_record
from tests.sweep import sleeping_command
from tests.sweep.conftest import folder_of, is_running, runs_started, statuses, table, wait_for


def test_done_jobs_are_skipped_and_failed_ones_made_again(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert sleeping_command.main(["seed=1,13"]) == 1
    folder, before = folder_of(toy), runs_started(toy)
    assert "1 of 2 jobs are not done; rex nap -m resume=outputs/toy/nap/" in capsys.readouterr().err
    with atomic_file(folder / "1" / "plots" / "a.png") as living:
        half_made = living.with_name(living.name.replace(f"-{os.getpid()}-", f"-{2**22 + 1}-"))
        half_made.write_bytes(b"of a process that was killed")
        living.touch()
    assert sleeping_command.main([f"resume={folder}"]) == 1
    assert statuses(toy) == ["done", "failed"]
    assert [path.name for path in (folder / "earlier" / "1" / "plots").iterdir()] == ["a.png"]
    after = runs_started(toy)
    assert after[0] == before[0]
    assert after[1] > before[1]
    assert RunView(folder / "earlier" / "1").started == before[1]
    assert "earlier" not in {view.path.parent.name for view in list_runs(toy.outputs)}
    assert "job 1: seed=13\n" in capsys.readouterr().err


def test_the_experiment_keeps_its_name_whatever_launches_it(toy: Project) -> None:
    assert sleeping_command.main(["seed=1", "launcher=basic", "sweeper=basic"]) == 0
    assert folder_of(toy).parent == toy.outputs / "toy" / "nap"


@pytest.mark.slow
def test_random_orders_continue(toy: Project) -> None:
    """Hydra shuffles anew each time; jobs are known by their overrides."""
    assert sleeping_command.main(["seed=shuffle(1,2,3,4,13)"]) == 1
    before = read_record(folder_of(toy)).jobs
    started = runs_started(toy)
    assert sleeping_command.main(["resume=latest"]) == 1
    assert read_record(folder_of(toy)).jobs == before
    assert len(set(runs_started(toy)) - set(started)) == 1


@pytest.mark.slow
def test_a_killed_sweep_continues(toy: Project, start: Callable[..., subprocess.Popen[str]]) -> None:
    (toy.root / "poison").touch()
    process = start("seed=1,9,3")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert statuses(toy) == ["done", "killed", "waiting"]
    before = runs_started(toy)
    (toy.root / "poison").unlink()
    assert sleeping_command.main(["resume=latest"]) == 0
    assert statuses(toy) == ["done", "done", "done"]
    assert [row["double"] for row in table(toy)] == ["2.0", "18.0", "6.0"]
    assert runs_started(toy)[0] == before[0]
    assert runs_started(toy)[1] != before[1]
    assert sleeping_command.main(["resume=latest"]) == 0  # nothing is left


@pytest.mark.slow
def test_an_interrupted_sweep_ends_with_its_table_and_continues(
    toy: Project, start: Callable[..., subprocess.Popen[str]]
) -> None:
    (toy.root / "hold").touch()
    process = start("seed=1,100,3")
    wait_for(is_running(toy, 1))
    assert sleeping_command.main(["resume=latest"]) == 2  # it still runs
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert [line.split()[-1] for line in out.splitlines()[2:5]] == ["done", "interrupted", "waiting"]
    assert RunView(folder_of(toy) / "1").status == "interrupted"
    (toy.root / "hold").unlink()
    assert sleeping_command.main(["resume=latest"]) == 0
    assert statuses(toy) == ["done", "done", "done"]


@pytest.mark.slow
def test_a_sweep_killed_at_any_moment_comes_to_its_end(
    toy: Project, start: Callable[..., subprocess.Popen[str]]
) -> None:
    random = np.random.default_rng(0)
    words = ["seed=1,2,3,4,5,6,7,8"]
    done: dict[str, str] = {}
    for _ in range(10):
        process = start(*words)
        wait_for(lambda: any(toy.outputs.rglob("sweep.json")))
        time.sleep(random.uniform(0, 0.5 if len(words[0]) > 14 else 3.0))
        process.kill()
        process.communicate()
        words = ["resume=latest"]
        folder = folder_of(toy)
        for row in collect(folder):
            if row.status == "done":
                began = RunView(folder / str(row.number)).started
                assert done.setdefault(str(row.number), began) == began
    assert sleeping_command.main(words) == 0
    assert [row["double"] for row in table(toy)] == [str(2.0 * seed) for seed in range(1, 9)]
    assert all(RunView(folder_of(toy) / job).started == began for job, began in done.items())


@pytest.mark.slow
def test_a_sweep_is_drawn(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert sleeping_command.main(["seed=1,2,13", "ppo.lr=1e-4,1e-3"]) == 1
    picture = folder_of(toy) / "plots" / "sweep.png"
    assert Image.open(picture).size[0] > 300
    (folder_of(toy) / "sweep.csv").unlink()  # as where the sweep was killed
    assert main(["plot", str(folder_of(toy)), "--metric", "list", "--key", "ppo.lr", "--out", "drawn", "-q"]) == 0
    assert Image.open("drawn/sweep.png").size[0] > 300
    assert main(["plot", str(folder_of(toy)), "training"]) == 2
