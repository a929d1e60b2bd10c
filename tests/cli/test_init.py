"""A new project runs at once, and so does every page that is added to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import rexcli
from rexcli.cli.main import main
from tests.cli.conftest import SMALL_TRAINING


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    assert main(["init", str(tmp_path / "mine"), "--quiet"]) == 0
    monkeypatch.chdir(tmp_path / "mine")
    return tmp_path / "mine"


def test_a_new_project_looks_right_and_records(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert {path.name for path in project.iterdir()} == {"conf", "nodes", "tests", "README.md", ".gitignore"}
    assert main(["show"]) == 0
    assert "warning" not in capsys.readouterr().err
    assert main(["record", "record.steps=20", "-q"]) == 0
    assert main(["init", "."]) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.slow
def test_its_own_tests_pass_whoever_runs_them(project: Path) -> None:
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(Path(rexcli.__file__).parents[1])}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


@pytest.mark.long
@pytest.mark.slow
def test_its_policy_learns_to_reach_the_middle(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert results["there"] > 0.9


@pytest.mark.slow
def test_a_new_node_and_task_run_as_their_pages_declare_them(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "node", "drift_filter"]) == 0
    node = capsys.readouterr().out
    assert "_target_: nodes.drift_filter.DriftFilter" in node
    assert main(["new", "task", "stay_small"]) == 0
    task = capsys.readouterr().out

    def yaml(said: str) -> str:
        lines = said.splitlines()
        begin = next(i for i, line in enumerate(lines) if line.startswith(("nodes:", "env:")))
        end = next((i for i, line in enumerate(lines) if i > begin and not line.strip()), len(lines))
        return "\n".join(lines[begin:end])

    text = f"defaults: [cart, _self_]\nname: both\n{yaml(node).replace('SOURCE', 'encoder')}\n{yaml(task)}\n"
    (project / "conf" / "both.yaml").write_text(text)
    own = ["~eval.metrics.there"]  # of the task that was there before
    assert main(["record", "conf=both", "record.steps=10", *own, "-q"]) == 0
    assert main(["train", "conf=both", *SMALL_TRAINING, "ppo.num_seeds=1", "env.seconds=0.4", *own, "-q"]) == 0


def test_what_cannot_be_added_is_refused(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, said in (
        (["nod", "arm"], "did you mean 'node'?"),
        (["node", "my-arm"], "give a name in small letters"),
        (["node", "class"], "give a name in small letters"),
        (["node", "../arm"], "give a name in small letters"),
        (["node", "cart"], "is there already"),
    ):
        assert main(["new", *words]) == 2
        assert said in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert main(["new", "node", "arm"]) == 2
    assert "rex init" in capsys.readouterr().err
    assert not list((tmp_path / "empty").iterdir())
