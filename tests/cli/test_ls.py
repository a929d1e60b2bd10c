"""`rex ls` lists the runs that were asked for, in the order that was asked for, and what fits the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rexcli.cli.main import main
from rexcli.config.project import Project
from rexcli.runs.view import RunView
from tests.cli.conftest import Make, runs


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
