"""Sweeps under launchers that run jobs in other processes, and under Optuna; each where its extra is installed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from rexcli.config.project import Project
from rexcli.runs import provenance
from rexcli.runs.view import RunView
from rexcli.sweep.folder import JobRow, collect
from tests.sweep import sleeping_command
from tests.sweep.conftest import folder_of, is_running, runs_started, statuses, table, wait_for

pytestmark = pytest.mark.slow

Start = Callable[..., subprocess.Popen[str]]


def needs(plugin: str) -> pytest.MarkDecorator:
    missing = find_spec("hydra_plugins") is None or find_spec(f"hydra_plugins.{plugin}") is None
    return pytest.mark.skipif(missing, reason=f"{plugin} is not installed")


JOBLIB = needs("hydra_joblib_launcher")
SLURM = needs("hydra_submitit_launcher")
RAY = needs("hydra_ray_launcher")
OPTUNA = needs("hydra_optuna_sweeper")


def last_of(project: Project) -> JobRow:
    return collect(folder_of(project))[-1]


@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param("joblib", marks=JOBLIB),
        pytest.param("slurm_local", marks=SLURM),
        pytest.param("ray", marks=RAY),
    ],
)
def test_a_failed_job_does_not_stop_the_others_and_is_made_again(toy: Project, start: Start, launcher: str) -> None:
    process = start("seed=1,13,2,3", f"launcher={launcher}")
    out, err = process.communicate(timeout=180)
    assert process.returncode == 1, err
    assert statuses(toy) == ["done", "failed", "done", "done"]
    assert table(toy)[1]["error"].startswith("ZeroDivisionError: unlucky")
    assert [row["devices"] for row in table(toy) if row["status"] == "done"] == ["1", "1", "1"]
    assert "ZeroDivisionError: unlucky" in out
    processes = {RunView(path).json("started.json")["process"] for path in folder_of(toy).glob("[0-9]*")}
    assert process.pid not in processes
    before = runs_started(toy)
    process = start("resume=latest")
    process.communicate(timeout=180)
    assert process.returncode == 1
    after = runs_started(toy)
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True, True]
    assert sleeping_command.main(["resume=latest", "launcher=basic"]) == 1
    assert RunView(folder_of(toy) / "1").json("started.json")["process"] == os.getpid()


@JOBLIB
def test_a_process_that_dies_does_not_stop_the_others(toy: Project, start: Start) -> None:
    """As where the system kills the one that takes all memory; joblib then ends the whole pool."""
    (toy.root / "poison").touch()
    process = start("seed=1,9,2,3,4", "launcher=joblib", "hydra.launcher.n_jobs=2")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert statuses(toy) == ["done", "killed", "done", "done", "done"]
    assert "out of memory?" in out
    (toy.root / "poison").unlink()
    assert sleeping_command.main(["resume=latest", "launcher=basic"]) == 0


@pytest.mark.parametrize("whole_group", [True, False])
@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param("joblib", marks=JOBLIB),
        pytest.param("slurm_local", marks=SLURM),
        pytest.param("ray", marks=RAY),
    ],
)
def test_interrupt_ends_jobs_in_order(toy: Project, start: Start, launcher: str, whole_group: bool) -> None:
    (toy.root / "hold").touch()
    limit = [] if launcher == "slurm_local" else ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else []
    process = start("seed=1,100,101,102", f"launcher={launcher}", *limit)
    wait_for(is_running(toy, 1), 240)
    if launcher != "ray":  # its second worker starts when Ray finds that the machine has room for it
        wait_for(is_running(toy, 2), 240)
    wait_for(lambda: is_running(toy, 0)() and RunView(folder_of(toy) / "0").status == "done", 240)
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 130, err
    assert statuses(toy)[:2] == ["done", "interrupted"]
    assert statuses(toy)[2] == "interrupted" or (launcher == "ray" and not is_running(toy, 2)())
    assert statuses(toy)[3] in ("waiting", "interrupted")
    assert RunView(folder_of(toy) / "1").status == "interrupted"
    assert "interrupted" in out
    (toy.root / "hold").unlink()
    assert sleeping_command.main(["resume=latest", "launcher=basic"]) == 0
    assert statuses(toy) == ["done"] * 4


@JOBLIB
def test_jobs_end_with_a_killed_sweep_and_it_continues(toy: Project, start: Start) -> None:
    (toy.root / "hold").touch()
    process = start("seed=1,100,101,102", "launcher=joblib", "hydra.launcher.n_jobs=2")
    wait_for(is_running(toy, 2), 240)
    workers = [RunView(path).json("started.json")["process"] for path in sorted(folder_of(toy).glob("[12]"))]
    process.kill()
    process.wait()
    wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), 30)
    assert statuses(toy) == ["done", "interrupted", "interrupted", "waiting"]
    (toy.root / "hold").unlink()
    assert sleeping_command.main(["resume=latest", "launcher=basic"]) == 0
    assert statuses(toy) == ["done"] * 4


@SLURM
def test_jobs_in_a_queue_outlive_the_sweep(toy: Project, start: Start) -> None:
    (toy.root / "hold").touch()
    process = start("seed=100,1", "launcher=slurm_local")
    wait_for(is_running(toy, 0), 90)
    process.kill()
    process.wait()
    assert sleeping_command.main(["resume=latest"]) == 2  # a job still runs
    worker = RunView(folder_of(toy) / "0").json("started.json")["process"]
    assert provenance.is_alive({"pid": worker, "started": provenance._started(worker)})
    (toy.root / "hold").unlink()
    wait_for(lambda: "running" not in statuses(toy))
    assert statuses(toy)[0] == "done"
    assert sleeping_command.main(["resume=latest", "launcher=basic"]) == 0


@OPTUNA
def test_optuna_looks_for_the_highest_objective_and_continues(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["seed=range(0,20)", "sweeper=optuna", "hydra.sweeper.n_trials=14"]
    assert sleeping_command.main(words) == (1 if "failed" in statuses(toy) else 0)
    rows = collect(folder_of(toy))
    best = max((row for row in rows if row.objective is not None), key=lambda row: row.objective or 0.0)
    assert abs(int(best.overrides["seed"]) - 5) <= 2
    assert f"best_value: {best.objective}" in (folder_of(toy) / "optimization_results.yaml").read_text()
    before = runs_started(toy)
    (folder_of(toy) / "12" / "job.json").unlink()
    assert sleeping_command.main(["resume=latest"]) == (1 if "failed" in statuses(toy) else 0)
    assert [row.overrides for row in collect(folder_of(toy))] == [row.overrides for row in rows]
    assert 1 <= len(set(before) - set(runs_started(toy))) <= 1 + statuses(toy).count("failed")


@OPTUNA
def test_optuna_with_nothing_to_compare_says_so(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        sleeping_command.main(["seed=13", "ppo.lr=choice(1e-3,1e-4)", "sweeper=optuna", "hydra.sweeper.n_trials=2"])
        == 1
    )
    assert "no job gave the sweeper a number to go by" in capsys.readouterr().err
