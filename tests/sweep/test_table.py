"""Tables of sweeps have every job, in the order that is asked for."""

from __future__ import annotations

import json

import pytest

from rexcli.cli.main import main
from rexcli.config.project import Project
from rexcli.sweep.folder import collect
from rexcli.sweep.table import SweepView
from tests.sweep import sleeping_command
from tests.sweep.conftest import folder_of


@pytest.mark.slow
def test_tables_are_sorted_by_any_result(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert sleeping_command.main(["seed=5,9,2"], sort="double") == 0
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


def test_table_of_a_sweep_has_every_row_that_it_was_given(toy: Project) -> None:
    """Reading a sweep's folder is the inverse of writing it."""
    assert sleeping_command.main(["seed=1,13", "nodes.eye.delay=0.01,{_target_:distrax.Uniform,low:0.0,high:0.1}"]) == 1
    rows = collect(folder_of(toy))
    view = SweepView(folder_of(toy)).csv("sweep.csv")
    assert list(view["job"]) == [0, 1, 2, 3]
    assert [row.overrides["nodes.eye.delay"][:4] for row in rows] == ["0.01", "{_ta"] * 2
    assert list(view["status"]) == [row.status for row in rows] == ["done", "done", "failed", "failed"]
    assert [cell != "" for cell in view["error"]] == [False, False, True, True]
