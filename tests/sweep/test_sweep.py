"""Sweeps that are stopped, killed and continued; and how their tables are sorted and drawn."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hydra._internal.config_repository import CachingConfigRepository
from PIL import Image

from rexcli.cli.main import main
from rexcli.config.project import Project
from rexcli.errors import WriteError
from rexcli.plot.sweep import numbers_of
from rexcli.runs.storage import atomic_file
from rexcli.runs.view import RunView, list_runs
from rexcli.sweep import jobs
from rexcli.sweep.folder import SweepRecord, collect, find_sweep, read_record, write_record
from rexcli.sweep.table import SweepView
from tests.sweep import nap

HERE = Path(__file__).parents[2]


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
            [sys.executable, "-m", "tests.sweep.nap", *words],
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


def test_done_jobs_are_skipped_and_failed_ones_made_again(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert nap.main(["seed=1,13"]) == 1
    folder, before = folder_of(toy), runs_started(toy)
    assert "1 of 2 jobs are not done; rex nap -m resume=outputs/toy/nap/" in capsys.readouterr().err
    with atomic_file(folder / "1" / "plots" / "a.png") as living:
        half_made = living.with_name(living.name.replace(f"-{os.getpid()}-", f"-{2**22 + 1}-"))
        half_made.write_bytes(b"of a process that was killed")
        living.touch()
    assert nap.main([f"resume={folder}"]) == 1
    assert statuses(toy) == ["done", "failed"]
    assert [path.name for path in (folder / "earlier" / "1" / "plots").iterdir()] == ["a.png"]
    after = runs_started(toy)
    assert after[0] == before[0]
    assert after[1] > before[1]
    assert RunView(folder / "earlier" / "1").started == before[1]
    assert "earlier" not in {view.path.parent.name for view in list_runs(toy.outputs)}
    assert "job 1: seed=13\n" in capsys.readouterr().err


def test_a_sweep_is_found(toy: Project) -> None:
    for command, moment in (("nap", "01"), ("nap", "03"), ("train", "02")):
        folder = toy.outputs / "toy" / command / moment
        folder.mkdir(parents=True)
        record = SweepRecord(command, "toy", None, None, ("seed=1",), (), {}, started=f"2026-01-{moment}")
        write_record(folder, record)
        assert read_record(folder) == record
    newest = toy.outputs / "toy" / "nap" / "03"
    for text in ("latest", "latest:nap", "toy/nap/03", str(newest), "outputs/toy/nap/03"):
        assert find_sweep(text, toy.outputs, "nap").resolve() == newest
    assert find_sweep("latest:train", toy.outputs, "nap").name == "02"


UNFIT = [
    (["resume=latest", "seed=1,2"], "made with seed=1,13; leave out seed=1,2"),
    (["resume=latest", "seed=1,13", "ppo.lr=1e-3"], "leave out ppo.lr=1e-3"),
    (["resume=latest", "conf=child"], "made with no conf; leave out conf=child"),
    (["resume=latest:train"], "no sweep of 'train'"),
    (["resume=nosuch"], "no sweep is there"),
    (["resume=RUN"], "one run, not a sweep; leave out -m"),
    (["launcher=ray", "seed=1"], "launcher=ray needs: pip install 'rexcli[ray]'"),
    (["launcher=nosuch", "seed=1"], "known: basic, joblib, ray, slurm"),
]


def test_what_does_not_fit_is_refused(
    toy: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nap.main(["seed=1,13"])
    capsys.readouterr()
    before = {path: path.stat().st_mtime_ns for path in toy.outputs.rglob("*")}
    known = CachingConfigRepository.config_exists

    def without_ray(files: CachingConfigRepository, config_path: str) -> bool:
        return config_path != "hydra/launcher/ray" and known(files, config_path)

    monkeypatch.setattr(CachingConfigRepository, "config_exists", without_ray)
    for words, hint in UNFIT:
        assert nap.main([word.replace("RUN", str(folder_of(toy) / "0")) for word in words]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        assert hint in error
        assert {path: path.stat().st_mtime_ns for path in toy.outputs.rglob("*")} == before


def test_launchers_are_for_sweeps(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "launcher=joblib"]) == 2
    assert "add -m" in capsys.readouterr().err


def test_the_experiment_keeps_its_name_whatever_launches_it(toy: Project) -> None:
    assert nap.main(["seed=1", "launcher=basic", "sweeper=basic"]) == 0
    assert folder_of(toy).parent == toy.outputs / "toy" / "nap"


@pytest.mark.slow
def test_a_changed_file_is_said(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert nap.main(["seed=1,13"]) == 1
    (toy.conf / "ppo" / "quick.yaml").write_text("{lr: 2e-3, num_envs: 4}")
    assert nap.main(["resume=latest"]) == 1
    assert "changed since this sweep was started: ppo.lr 0.001 -> 0.002; done" in capsys.readouterr().err


@pytest.mark.slow
def test_random_orders_continue(toy: Project) -> None:
    """Hydra shuffles anew each time; jobs are known by their overrides."""
    assert nap.main(["seed=shuffle(1,2,3,4,13)"]) == 1
    before = read_record(folder_of(toy)).jobs
    started = runs_started(toy)
    assert nap.main(["resume=latest"]) == 1
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
    assert nap.main(["resume=latest"]) == 0
    assert statuses(toy) == ["done", "done", "done"]
    assert [row["double"] for row in table(toy)] == ["2.0", "18.0", "6.0"]
    assert runs_started(toy)[0] == before[0]
    assert runs_started(toy)[1] != before[1]
    assert nap.main(["resume=latest"]) == 0  # nothing is left


@pytest.mark.slow
def test_an_interrupted_sweep_ends_with_its_table_and_continues(
    toy: Project, start: Callable[..., subprocess.Popen[str]]
) -> None:
    (toy.root / "hold").touch()
    process = start("seed=1,100,3")
    wait_for(is_running(toy, 1))
    assert nap.main(["resume=latest"]) == 2  # it still runs
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert [line.split()[-1] for line in out.splitlines()[2:5]] == ["done", "interrupted", "waiting"]
    assert RunView(folder_of(toy) / "1").status == "interrupted"
    (toy.root / "hold").unlink()
    assert nap.main(["resume=latest"]) == 0
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
    assert nap.main(words) == 0
    assert [row["double"] for row in table(toy)] == [str(2.0 * seed) for seed in range(1, 9)]
    assert all(RunView(folder_of(toy) / job).started == began for job, began in done.items())


def test_tables_are_sorted_by_any_result(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert nap.main(["seed=5,9,2"], sort="double") == 0
    lines = capsys.readouterr().out.splitlines()[2:5]
    assert [line.split()[2] for line in lines] == ["4", "10", "18"]
    for key, seeds in (("list", [2, 5, 9]), ("seed", [2, 5, 9]), ("double", [2, 5, 9])):
        assert main(["ls", str(folder_of(toy)), "--sort", key, "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)["tables"]["sweep"]
        assert [int(row["seed"]) for row in rows] == seeds
    assert main(["ls", str(folder_of(toy)), "--sort", "dubble"]) == 2
    assert "did you mean 'double'?" in capsys.readouterr().err
    assert main(["ls", "--sort", "list", "--json"]) == 0
    assert [row["seed"] for row in json.loads(capsys.readouterr().out)["tables"]["runs"]] == [2, 5, 9]


@pytest.mark.slow
def test_a_sweep_is_drawn(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert nap.main(["seed=1,2,13", "ppo.lr=1e-4,1e-3"]) == 1
    picture = folder_of(toy) / "plots" / "sweep.png"
    assert Image.open(picture).size[0] > 300
    (folder_of(toy) / "sweep.csv").unlink()  # as where the sweep was killed
    assert main(["plot", str(folder_of(toy)), "--metric", "list", "--key", "ppo.lr", "--out", "drawn", "-q"]) == 0
    assert Image.open("drawn/sweep.png").size[0] > 300
    assert main(["plot", str(folder_of(toy)), "training"]) == 2


def test_table_of_a_sweep_has_every_row_that_it_was_given(toy: Project) -> None:
    """Reading a sweep's folder is the inverse of writing it."""
    assert nap.main(["seed=1,13", "nodes.eye.delay=0.01,{_target_:distrax.Uniform,low:0.0,high:0.1}"]) == 1
    rows = collect(folder_of(toy))
    view = SweepView(folder_of(toy)).csv("sweep.csv")
    assert list(view["job"]) == [0, 1, 2, 3]
    assert [row.overrides["nodes.eye.delay"][:4] for row in rows] == ["0.01", "{_ta"] * 2
    assert list(view["status"]) == [row.status for row in rows] == ["done", "done", "failed", "failed"]
    assert [cell != "" for cell in view["error"]] == [False, False, True, True]


def test_cells_that_are_lists_or_text_count_as_numbers() -> None:
    cells = [1.5, "2.5", "[1.0, 3.0]", '["NaN", 4]', "", "nan", "word", "[", None]
    assert [numbers_of(cell) for cell in cells] == [[1.5], [2.5], [1.0, 3.0], [4.0], [], [], [], [], []]


@pytest.mark.parametrize("status", ["running", "done"])
def test_a_job_of_which_nothing_can_be_noted_says_why_it_failed(
    toy: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: str
) -> None:
    write = jobs.write_job

    def full(folder: Path, overrides: object, now: str, *more: object, **how: object) -> None:
        if folder.name == "0" and now == status:
            raise WriteError(f"{folder}: no space is left there; make room")
        write(folder, overrides, now, *more, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "write_job", full)
    monkeypatch.chdir(toy.root)
    assert nap.main(["seed=1,2"]) == 1
    assert "job 0 failed: " in (said := capsys.readouterr().err)
    assert "no space is left there; make room" in said
    assert statuses(toy) == ["failed", "done"]
