"""Trainings as they would be left, made up, and what a page carries of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from rexcli.report import Entry
from rexcli.runs.formats import encode_csv
from rexcli.runs.rundir import Run
from rexcli.runs.view import RunView

HOSTILE = "</script><script>alert(1)</script><img src=http://example.org/x.png>"
CONFIG = "name: toy\nppo: {{lr: {lr}}}\nnodes: {{agent: {{rate: 50}}}}\n"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000003010100"
    "18dd8db00000000049454e44ae426082"
)


def training(root: Path, name: str, lr: float = 1e-3, evaluations: int = 4, hold: float = 0.5) -> RunView:
    run = Run.create(
        root, "toy", "train", argv=["rex", "train"], seed=1, config_yaml=CONFIG.format(lr=lr), path=root / name
    )
    with run:
        rows = [
            [seed, update, 100 * update, -10.0 + update + seed, float("nan")]
            for update in range(1, evaluations + 1)
            for seed in range(2)
        ]
        columns = ["seed", "update", "total_steps", "eval/return_mean", "train/never"]
        run.write_bytes("metrics.csv", encode_csv(columns, rows))
        run.write_bytes("plots/training.png", PIXEL)
        run.add_result("hold", hold)
        run.add_result("note", HOSTILE)
    return RunView(run.path)


def entry(view: RunView) -> Entry:
    return Entry(view, view.path.name, view.status, facts=[("typed", HOSTILE)])


def carried(page: bytes) -> dict:
    text = re.search(rb'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert text is not None
    return json.loads(text[1])
