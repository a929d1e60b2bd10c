"""Commands that make runs: single runs, sweeps, and the commands that read them."""

from __future__ import annotations

import csv
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from rexcli.cli.command_spec import CommandSpec
from rexcli.cli.console import Console
from rexcli.cli.job import job_on_run
from rexcli.cli.main import main
from rexcli.config.project import Project
from rexcli.runs.view import RunView, find_run
from rexcli.sweep.jobs import SweepJob
from tests.cli.conftest import Make


def runs(project: Project) -> list[RunView]:
    return [RunView(file.parent) for file in sorted(project.outputs.rglob("run.json"))]


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


def test_ls_lists_runs_and_sorts_them(make: Make, toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (5, 9, 2):
        assert make(f"seed={seed}", quiet=True) == 0
    capsys.readouterr()
    assert main(["ls", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["tables"]["make"]
    assert [row["seed"] for row in rows] == [5, 9, 2]
    assert main(["ls", "outputs/toy", "--sort", "double"]) == 0
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()[2:5]] == ["4", "10", "18"]
    for sort, seeds in (("start", ["5", "9", "2"]), ("seed", ["2", "5", "9"])):
        assert main(["ls", "outputs/toy", "--sort", sort, "--quiet"]) == 0
        folders = capsys.readouterr().out.split()
        assert [str(RunView(Path(folder)).seed) for folder in folders] == seeds
    assert main(["ls", "--sort", "duoble"]) == 2
    assert "did you mean 'double'?" in capsys.readouterr().err


def test_ls_filters_and_lists_what_fits(make: Make, toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (5, 9, 13):
        make(f"seed={seed}", quiet=True)

    def listed(*words: str) -> list[int]:
        capsys.readouterr()
        assert main(["ls", *words, "--json"]) == 0
        tables = json.loads(capsys.readouterr().out)["tables"]
        return [row["seed"] for table in tables.values() for row in table]

    assert listed("status=done") == [5, 9]
    assert listed("status!=done") == [13]
    assert listed("double>10", "since=1h") == [9]
    assert listed("seed<=5", "status=d*") == [5]
    assert listed("until=1h") == []
    assert listed("ppo.lr=1e-3") == [5, 9, 13]
    assert main(["ls", "toy", "status=failed", "-q"]) == 0
    assert capsys.readouterr().out.endswith(f"{runs(toy)[2].path}\n")
    for word, said in (("since=soon", "30min"), ("duoble>1", "did you mean 'double'?"), ("status=doen", "'done'?")):
        assert main(["ls", word]) == 2
        assert said in capsys.readouterr().err


def test_a_list_fits_80_columns(
    make: Make, toy: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make("seed=1", quiet=True) == 0
    record = runs(toy)[0].path / "run.json"
    many = {f"metric number {i}": i / 7 for i in range(20)}
    record.write_text(json.dumps({**json.loads(record.read_text()), "results": many}))
    monkeypatch.setenv("COLUMNS", "80")
    capsys.readouterr()
    assert main(["ls"]) == 0
    said = capsys.readouterr()
    assert max(map(len, said.out.splitlines())) <= 80
    assert "metric number 19" in said.err
    assert main(["ls", "--columns", "all"]) == 0
    assert "metric number 19" in capsys.readouterr().out


def test_show_tells_a_runs_story(make: Make, toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert make("conf=toy", "seed=7", "ppo=slow", quiet=True) == 0
    job, view = job_on_run("make", "latest", ["eval.episodes=5"], Console(quiet=True))
    with job.new_run(parents=[view.path]) as child:
        pass
    capsys.readouterr()
    assert main(["show", str(view.path.relative_to(toy.outputs)), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    tables = said["tables"]
    facts = {row["run"]: row[view.path.name] for row in tables["make of toy"]}
    assert (facts["typed"], facts["status"]) == ("rex make conf=toy seed=7 ppo=slow", "done")
    changed = {row["key"]: (row["declared"], row["here"]) for row in tables["differs from what the files declare"]}
    assert changed == {"seed": (3, 7), "ppo.lr": (1e-3, 1e-5), "ppo.num_envs": (4, "-")}
    assert [(row[""], row["run"]) for row in tables["came from and led to"]] == [
        ("to", str(child.path.relative_to(toy.outputs)))
    ]
    assert said["results"] == {"double": 14.0}
    assert main(["show", str(child.path), "--json"]) == 0
    tables = json.loads(capsys.readouterr().out)["tables"]
    assert [row["key"] for row in tables["differs from what the files declare"]] == ["eval.episodes"]
    assert [(row[""], row["command"]) for row in tables["came from and led to"]] == [("from", "make")]


def test_show_of_a_sweep_is_its_table(make: Make, toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert make("seed=1,2", multirun=True) == 0
    (folder,) = (toy.outputs / "toy" / "make").iterdir()
    capsys.readouterr()
    assert main(["show", str(folder), "--json"]) == 0
    assert [row["double"] for row in json.loads(capsys.readouterr().out)["tables"]["sweep"]] == [2.0, 4.0]


def test_diff_tells_configurations_and_results_apart(
    make: Make, toy: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make("seed=7", quiet=True) == 0
    assert make("seed=8", "nodes.eye.gain=3", quiet=True) == 0
    first, second = runs(toy)
    capsys.readouterr()
    assert main(["diff", str(first.path), str(second.path), "--json"]) == 0
    tables = json.loads(capsys.readouterr().out)["tables"]
    assert {row["key"] for row in tables["configuration"]} == {"seed", "nodes.eye.gain"}
    assert tables["results"][0]["change"] == "+2 (+14.3%)"
    assert main(["diff", str(first.path), str(first.path)]) == 0
    assert "14" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["show", "latest:mkae"], "did you mean 'make'?"),
        (["show", "toy"], "write conf=toy"),
        (["show", "latest", "seed=1"], "rex diff RUN RUN"),
        (["diff", "latest", "latets"], "did you mean 'latest'?"),
    ],
)
def test_mistakes_about_runs(
    make: Make, toy: Project, capsys: pytest.CaptureFixture[str], argv: list[str], said: str
) -> None:
    assert make("seed=1", quiet=True) == 0
    assert main(argv) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", ["['ls']", "['ls', 'double>1']", "['show', 'latest']", "['diff', *2 * ['latest']]"])
def test_reading_runs_imports_no_jax(make: Make, toy: Project, command: str) -> None:
    assert make("seed=1") == 0
    code = (
        f"import sys; from rexcli.cli.main import main; sys.exit(main({command}) or 'jax' in sys.modules or "
        "'numpy' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert run.returncode == 0
    assert b"done" in run.stdout or b"double" in run.stdout


def test_a_sweeps_task_travels_to_other_processes(toy: Project) -> None:
    task = SweepJob(CommandSpec("make", "making", "toy", ("rex",), toy, None, False, True))
    assert pickle.loads(pickle.dumps(task)) == task


def test_a_job_on_a_run_has_the_runs_experiment(make: Make, toy: Project) -> None:
    assert make("conf=toy", "seed=7") == 0
    job, view = job_on_run("make", "latest", ["eval.episodes=5"], Console(quiet=True))
    assert view.path == runs(toy)[0].path
    assert (job.experiment.seed, job.experiment.eval.episodes) == (7, 5)
    with job.new_run(parents=[view.path]) as run:
        pass
    assert RunView(run.path).parents == [str(view.path.relative_to(toy.outputs))]
