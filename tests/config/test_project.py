"""Where `conf/` and `nodes/` are found, and what a project starts from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rexcli.config.build import build_system
from rexcli.config.compose import compose
from rexcli.config.project import Project, bundled_systems, copy_bundled, find_project
from rexcli.errors import RexError


def test_two_projects_with_modules_of_the_same_name(toy: Project, tmp_path: Path) -> None:
    build_system(compose("toy"), toy)
    copy = tmp_path / "copy"
    for file in ("conf/toy.yaml", "conf/base.yaml", "conf/ppo/quick.yaml", "nodes/toy.py"):
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        (copy / file).write_text((toy.root / file).read_text())
    other = find_project(copy)
    assert other.root == copy
    build_system(compose("toy", project=other), other)
    assert sys.modules["nodes.toy"].__file__ == str(copy / "nodes" / "toy.py")


def test_outside_a_project_the_bundled_files_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = find_project()
    assert not project.own
    assert project.outputs == tmp_path / "outputs"
    assert compose().supervisor == "agent"


def test_a_copy_of_a_system_has_nothing_of_another_and_runs_it_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bundled_systems() == ("arm", "cartpole", "pendulum", "platoon", "quadrotor")
    for system in bundled_systems():
        files = {str(file) for file in copy_bundled(tmp_path / system, system)}
        folders = {file.split("/")[1] for file in files if file.startswith("nodes/") and file.count("/") > 1}
        assert folders == {system}
        assert {f"conf/{system}.yaml", "conf/base.yaml", "conf/ppo/default.yaml"} <= files
        assert ("conf/sim2real_wide.yaml" in files) == (system == "pendulum")
        monkeypatch.chdir(tmp_path / system)
        assert compose().name == system


def test_a_project_starts_from_a_copy_and_overwrites_nothing(tmp_path: Path) -> None:
    files = copy_bundled(tmp_path, "pendulum")
    assert Path("conf/pendulum.yaml") in files
    assert find_project(tmp_path / "nodes").root == tmp_path
    before = {file: (tmp_path / file).read_bytes() for file in files}
    (tmp_path / "conf/base.yaml").unlink()
    with pytest.raises(RexError, match="is there already"):
        copy_bundled(tmp_path, "pendulum")
    assert not (tmp_path / "conf/base.yaml").exists()
    del before[Path("conf/base.yaml")]
    assert all((tmp_path / file).read_bytes() == data for file, data in before.items())
