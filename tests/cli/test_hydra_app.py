"""Commands that run once, and sweeps of them: what they leave, say and end with."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from rexcli.cli.main import main
from rexcli.config.project import Project
from rexcli.runs.view import RunView, find_run
from tests.cli.conftest import Make, runs


def sweep_rows(project: Project) -> list[dict[str, str]]:
    (file,) = project.outputs.rglob("sweep.csv")
    with file.open() as text:
        return list(csv.DictReader(text))


def test_a_run_ends_with_its_results_and_its_folder(
    make: Make, toy: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make("conf=toy", "seed=7") == 0
    (run,) = runs(toy)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].split() == ["double", "14"]
    assert lines[-1] == str(run.path.relative_to(toy.root))
    assert run.path.parent == toy.outputs / "toy" / "make"
    assert (run.status, run.seed, run.command_line) == ("done", 7, "rex make conf=toy seed=7")
    assert run.config["seed"] == 7


def test_hydra_leaves_nothing_in_a_single_run(make: Make, toy: Project) -> None:
    before = {path.name for path in toy.root.iterdir()}
    assert make("conf=toy") == 0
    assert {path.name for path in toy.root.iterdir()} - before <= {"outputs", "__pycache__"}
    (run,) = runs(toy)
    assert run.files() == ["config.yaml", "log.txt", "run.json", "seen.json"]


def test_quiet_prints_the_folder_alone(make: Make, toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert make("conf=toy", quiet=True) == 0
    out, err = capsys.readouterr()
    assert (Path(out.strip()), err) == (runs(toy)[0].path, "")


def test_json_names_results_and_folder(make: Make, toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert make("conf=toy", as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["results"] == {"double": 6.0}
    assert Path(said["run"]) == runs(toy)[0].path


@pytest.mark.parametrize(
    ("seed", "code", "status", "said"),
    [
        (13, 1, "failed", "error: ZeroDivisionError: unlucky"),
        (14, 2, "failed", "error: seed 14: give another\n"),
        (15, 130, "interrupted", "interrupted\n"),
    ],
)
def test_how_a_run_ends_is_the_exit_code(
    make: Make, toy: Project, capsys: pytest.CaptureFixture[str], seed: int, code: int, status: str, said: str
) -> None:
    assert make(f"seed={seed}") == code
    (run,) = runs(toy)
    assert run.status == status
    err = capsys.readouterr().err
    assert err.startswith(said)
    assert err.count("\n") == 1


def test_a_sweep_runs_every_combination(make: Make, toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert make("conf=toy", "seed=1,2", "ppo.lr=1e-4,3e-4", "ppo=slow", "record.steps=5", multirun=True) == 0
    rows = sweep_rows(toy)
    assert [(row["job"], row["seed"], row["ppo.lr"], row["double"], row["status"]) for row in rows] == [
        ("0", "1", "0.0001", "2.0", "done"),
        ("1", "1", "0.0003", "2.0", "done"),
        ("2", "2", "0.0001", "4.0", "done"),
        ("3", "2", "0.0003", "4.0", "done"),
    ]
    (folder,) = (toy.outputs / "toy" / "make").iterdir()
    assert [RunView(folder / str(job)).json("seen.json")["lr"] for job in range(4)] == [1e-4, 3e-4, 1e-4, 3e-4]
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == str(folder.relative_to(toy.root))
    assert "record.steps" not in out
    assert "job 3 done: double 4" in err
    assert find_run("latest", toy.outputs).path == folder / "3"


@pytest.mark.slow
def test_a_failed_job_does_not_stop_the_others(make: Make, toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert make("conf=toy", "seed=13,14,2", multirun=True) == 1
    rows = sweep_rows(toy)
    assert [row["status"] for row in rows] == ["failed", "failed", "done"]
    assert rows[0]["error"].startswith("ZeroDivisionError: unlucky")
    assert rows[1]["error"] == "seed 14: give another"
    assert "unlucky" in capsys.readouterr().out


def test_an_interrupted_sweep_leaves_its_table(make: Make, toy: Project) -> None:
    assert make("conf=toy", "seed=1,15,2", multirun=True) == 130
    assert [row["status"] for row in sweep_rows(toy)] == ["done", "interrupted", "waiting"]


@pytest.mark.slow
def test_sweeps_take_hydras_grammar(make: Make, toy: Project) -> None:
    assert (
        make("seed=range(1,4)", "nodes.eye.delay=0.01,{_target_:distrax.Uniform,low:0.0,high:0.1}", multirun=True) == 0
    )
    rows = sweep_rows(toy)
    assert [row["seed"] for row in rows] == ["1", "1", "2", "2", "3", "3"]
    (folder,) = (toy.outputs / "toy" / "make").iterdir()
    assert RunView(folder / "1").config["nodes"]["eye"]["delay"] == {
        "_target_": "distrax.Uniform",
        "low": 0.0,
        "high": 0.1,
    }


@pytest.mark.slow
def test_a_sweep_may_go_to_a_folder_of_choice(make: Make, toy: Project, tmp_path: Path) -> None:
    folder = tmp_path / "it's here"
    quoted = str(folder).replace("'", "\\'")
    assert make("seed=1,2", f"hydra.sweep.dir='{quoted}'", multirun=True) == 0
    assert [row["status"] for row in sweep_rows_in(folder)] == ["done", "done"]


def sweep_rows_in(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open() as text:
        return list(csv.DictReader(text))


@pytest.mark.slow
def test_two_sweeps_of_one_second_keep_apart(make: Make, toy: Project) -> None:
    assert make("seed=1", multirun=True) == 0
    assert make("seed=1", multirun=True) == 0
    assert len(list((toy.outputs / "toy" / "make").iterdir())) == 2


def test_launchers_are_for_sweeps(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "launcher=joblib"]) == 2
    assert "add -m" in capsys.readouterr().err
