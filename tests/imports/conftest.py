"""A project to import into; recordings are written by a thread in place of a process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rexcli.cli import results
from rexcli.cli.main import main
from rexcli.config.project import Project, find_project
from rexcli.runs.view import RunView, find_run
from tests.imports.foreign import ROBOT, write_conf
from tests.runs.conftest import in_this_process

__all__ = ["in_this_process"]

BASE = Path(__file__).parents[2] / "conf" / "base.yaml"

Import = Callable[..., RunView]
Refused = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project with the experiment `robot`; pictures are not drawn."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "base.yaml").write_text(BASE.read_text())
    write_conf(tmp_path, ROBOT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(results, "draw", lambda run, values, *_: [run.add_result(*item) for item in values.items()])
    return find_project()


@pytest.fixture
def imported(project: Project, capsys: pytest.CaptureFixture[str]) -> Import:
    """Imports, and gives the run."""

    def run_import(path: Path | str, *words: str) -> RunView:
        code = main(["import", str(path), *words])
        said = capsys.readouterr()
        assert code == 0, said.err
        run = find_run("latest:import", project.outputs)
        return run

    return run_import


@pytest.fixture
def refused(project: Project, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Imports what is wrong, and gives the one line that says so."""

    def run_import(path: Path | str, *words: str) -> str:
        code = main(["import", str(path), *words])
        said = capsys.readouterr()
        lines = said.err.strip().splitlines()
        assert code == 2, said.err
        assert len(lines) == 1, said.err
        assert "Traceback" not in said.err
        assert not list(project.outputs.rglob("run.json"))
        return lines[0]

    return run_import
