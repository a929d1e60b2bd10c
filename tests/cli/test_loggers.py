"""`rex train loggers=…`: several at once, one of one's own, and a training that goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rexcli.cli.main import main
from rexcli.runs.view import find_run
from tests.cli.conftest import SMALL_TRAINING

OWN = """
from rexcli import Logger

class Lines(Logger):
    def __init__(self, file: str):
        self.file = file

    def start(self, run):
        self.path = run.path / self.file

    def log(self, progress):
        with self.path.open("a") as lines:
            print(progress.updates, file=lines)

    def artifacts(self):
        return [self.file]
"""


@pytest.mark.slow
def test_a_training_writes_to_all_loggers_and_goes_on_with_them(tmp_path, monkeypatch):
    pytest.importorskip("tensorboardX")
    pytest.importorskip("wandb")
    for folder in ("conf", "nodes"):
        (tmp_path / folder).mkdir()
    (tmp_path / "conf" / "default.yaml").write_text("defaults: [pendulum, _self_]\n")
    (tmp_path / "nodes" / "mine.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    words = ["loggers=[tensorboard,wandb]", "loggers.wandb.mode=offline", "loggers.mine._target_=nodes.mine.Lines"]
    assert main(["train", *SMALL_TRAINING, *words, "loggers.mine.file=lines.txt", "--quiet"]) == 0
    run = find_run("latest:train", Path("outputs"))
    names = {artifact["name"] for artifact in run.artifacts}
    assert {"metrics.csv", "wandb.json", "lines.txt"} <= names
    assert sum(name.startswith("tensorboard/seed_1/") for name in names) == 1
    assert sum(name.endswith(".wandb") for name in names) == 1
    updates = (run.path / "lines.txt").read_text().split()
    assert len(updates) == 2
    record = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps({**record, "status": "interrupted"}))
    assert main(["train", f"resume={run.path}", "--quiet"]) == 0
    resumed = find_run("latest:train", Path("outputs"))
    assert sum(artifact["name"].endswith(".wandb") for artifact in resumed.artifacts) == 2
    assert (run.path / "lines.txt").read_text().split() == updates  # nothing was left to train


def test_what_is_no_logger_is_refused_before_anything_is_made(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "loggers.mine._target_=nodes.pendulum.Agent", "--quiet"]) == 2
    assert "loggers.mine" in capfd.readouterr().err
    assert not (tmp_path / "outputs").exists()
