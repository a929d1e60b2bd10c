"""The page that `rex report` writes: what is in it, what is not, and that a browser draws it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from rexcli.cli.main import main
from rexcli.report import Entry, data, render
from rexcli.report.data import Images, page_data
from rexcli.runs.formats import encode_csv
from rexcli.runs.rundir import Run
from rexcli.runs.view import RunView

HOSTILE = "</script><script>alert(1)</script><img src=http://example.org/x.png>"
CONFIG = "name: toy\nppo: {{lr: {lr}}}\nnodes: {{agent: {{rate: 50}}}}\n"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000003010100"
    "18dd8db00000000049454e44ae426082"
)
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium") or shutil.which("google-chrome")


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


def browse(file: Path) -> str:
    """The document after its script has run, as the browser has it."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    done = subprocess.run([*command, file.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


def test_curves_are_those_of_metrics_csv(tmp_path):
    (run,) = page_data([entry(training(tmp_path, "a"))], "t")["runs"]
    assert run["curves"]["steps"] == [100, 200, 300, 400]
    assert run["curves"]["metrics"] == {"eval/return_mean": [[-9, -8, -7, -6], [-8, -7, -6, -5]]}


def test_rows_that_have_no_place_are_left_out(tmp_path):
    view = training(tmp_path, "a")
    with (view.path / "metrics.csv").open("a") as rows:
        rows.write("0,5,nan,3.0,1.0\nx,6,600,4.0,1.0\n")
    (run,) = page_data([entry(view)], "t")["runs"]
    assert run["curves"]["steps"] == [100, 200, 300, 400]


def test_too_many_evaluations_are_thinned_and_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "MOST_NUMBERS", 8)
    page = page_data([entry(training(tmp_path, "a", evaluations=10))], "t")
    assert page["runs"][0]["curves"]["steps"] == [100, 400, 700, 1000]
    assert page["notes"] == ["a: the curves show one evaluation of 3, and the last."]


def test_the_keys_of_a_comparison_are_those_that_differ(tmp_path):
    views = [training(tmp_path, name, lr) for name, lr in (("a", 1e-3), ("b", 2e-3))]
    waiting = Entry(None, "c", "waiting", {"ppo.lr": "4e-3", "seed": "1"})
    page = page_data([*map(entry, views), waiting], "t")
    assert [run["keys"] for run in page["runs"]] == [
        {"ppo.lr": 1e-3, "seed": None},
        {"ppo.lr": 2e-3, "seed": None},
        {"ppo.lr": 4e-3, "seed": 1.0},
    ]
    assert [run["label"] for run in page["runs"]] == ["ppo.lr=0.001", "ppo.lr=0.002", "c"]


def test_a_picture_is_carried_once_and_only_where_there_is_room():
    images = Images(room=5)
    assert images.add(b"1234", "image/png") == images.add(b"1234", "image/png")
    assert images.add(b"56", "image/png") is None
    assert (len(images.urls), images.left_out) == (1, 1)


def test_nothing_in_a_run_becomes_markup_and_nothing_comes_from_elsewhere(tmp_path):
    page = render([entry(training(tmp_path, "a"))], HOSTILE)
    assert page.count(b"<script") == 2
    assert b"<img" not in page
    text = page.decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    of_its_own = re.sub(r"<title>.*?</title>|<script type=\"application/json\".*?</script>", "", text, flags=re.S)
    assert re.findall(r"https?://[^\s\"]*", of_its_own) == ["http://www.w3.org/2000/svg"]
    assert carried(page)["runs"][0]["results"]["note"] == HOSTILE


def test_the_same_runs_give_the_same_page(tmp_path):
    view = training(tmp_path, "a")
    assert render([entry(view)], "t") == render([entry(view)], "t")


def test_a_browser_draws_one_run(tmp_path):
    file = tmp_path / "page.html"
    file.write_bytes(render([entry(training(tmp_path, "a"))], HOSTILE))
    document = browse(file)
    assert "<h3>eval/return_mean</h3>" in document
    assert document.count('class="line"') == 1
    assert document.count('class="thin"') == 2  # its seeds
    assert 'alt="training"' in document
    assert "<script>alert" not in document


def test_a_browser_draws_a_comparison(tmp_path):
    chance = np.random.default_rng(0)
    views = [training(tmp_path, str(i), 10.0 ** -chance.integers(1, 5), hold=float(chance.random())) for i in range(20)]
    file = tmp_path / "page.html"
    file.write_bytes(render([entry(view) for view in views], "20 runs"))
    assert file.stat().st_size < 10e6
    document = browse(file)
    assert document.count("<circle") == 20
    assert len(re.findall(r'<path d="[^"]*" fill="none"', document)) == 20  # parallel coordinates
    assert document.count('class="line"') == 20
    assert document.count("<details>") >= 20


def test_the_command_writes_where_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    outputs = tmp_path / "outputs"
    first, second = training(outputs, "toy/train/a"), training(outputs, "toy/train/b", 2e-3)
    assert main(["report", "toy/train/a", "--quiet"]) == 0
    assert capsys.readouterr().out.strip() == str(first.path / "report.html")
    assert (first.path / "report.html").is_file()
    assert main(["report", "toy/train/a", "toy/train/b", "--quiet"]) == 0
    (both,) = (outputs / "reports").iterdir()
    assert [run["name"] for run in carried(both.read_bytes())["runs"]] == ["toy/train/a", "toy/train/b"]
    assert second.path.is_dir()
    assert main(["report", "toy/train/c"]) == 2
    assert "no run is there" in capsys.readouterr().err
