"""`rex show RUN` and `rex diff RUN RUN`: what a run is and became, and in what two runs differ."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexcli.cli.console import Console
from rexcli.cli.job import job_on_run
from rexcli.cli.main import main
from rexcli.cli.story import size_text
from rexcli.config.project import Project
from tests.cli.conftest import Make, runs


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


@given(st.integers(0, 10**15))
def test_a_size_is_short_and_at_most_a_two_hundredth_off(size: int) -> None:
    number, unit = size_text(size).split()
    factor = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]
    assert float(number) * factor == pytest.approx(size, rel=0.005)
    assert unit in ("B", "GB") or float(number) >= 1
