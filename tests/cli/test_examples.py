"""The examples of every command's help work as they stand there."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from rexcli.cli.commands import app
from rexcli.cli.examples import EXAMPLES
from rexcli.cli.main import main
from tests.cli.conftest import SMALL_TRAINING

SHORTER = {
    "record": ["record.steps=60", "wall.priority=0"],
    "compile": ["timeline.episodes=2", "timeline.steps=60"],
    "rollout": ["rollout.num=20", "timeline.episodes=2", "timeline.steps=60"],
    "train": SMALL_TRAINING,
    "identify": ["identify.optimizer.restarts=1"],
    "eval": ["eval.episodes=8"],
}
"""What makes an example quick and nothing else."""
QUICK = [line for name in ("init", "new", "doctor") for line, _ in EXAMPLES[name]] + [EXAMPLES["show"][0][0]]
ORDER = ("show", "record", "export", "import", "fit", "identify", "compile", "rollout", "train", "eval", "plot")
"""In this order each finds what it needs; the others need no order."""
MAPPING = """
defaults: [base, _self_]
name: robot
supervisor: agent
nodes:
  agent: {_target_: nodes.robot.Agent, rate: 50, delay: 0.004}
import:
  nodes: {agent: {topic: log, output: command, send: stamp}}
"""


def test_every_command_has_two_and_its_help_shows_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(EXAMPLES) == {str(command.name) for command in app.registered_commands}
    for name, examples in EXAMPLES.items():
        assert main([name, "--help"]) == 0
        said = " ".join(capsys.readouterr().out.split())
        for line, what in examples:
            assert line.startswith(f"rex {name} ") or line == f"rex {name}"
            assert len(line) <= 76, "a terminal of 80 columns would break the line"
            assert f"{line} # {what}" in said


@pytest.mark.parametrize("line", QUICK)
def test_a_quick_example_works(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", ".", "--quiet"]) == 0
    assert main(shlex.split(line)[1:]) == 0


def shorter(line: str) -> list[str]:
    """An example as it stands, but for how long it takes."""
    words = shlex.split(line)[1:]
    if any(word.startswith("resume=") for word in words):
        return words
    has_timeline = any(word.startswith("from=") for word in words)
    extra = [word for word in SHORTER.get(words[0], []) if not (has_timeline and word.startswith("timeline."))]
    keys = [word.partition("=")[0] for word in extra]
    return [word for word in words if word.partition("=")[0] not in keys] + extra


@pytest.mark.slow
def test_all_examples_work(runs_of_commands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    shutil.copytree(runs_of_commands, project)
    monkeypatch.chdir(project)
    monkeypatch.setenv("COLUMNS", "80")
    (project / "conf" / "robot.yaml").write_text(MAPPING)
    rows = [f"{0.02 * k:.3f},{k % 3}" for k in range(50)]
    (project / "log.csv").write_text("\n".join(["stamp,command", *rows]))
    for name in sorted(EXAMPLES, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER)):
        for line, _ in EXAMPLES[name]:
            assert main(shorter(line)) == 0, line
