"""The page that `rex report` writes: what is in it, what is not, and that a browser draws it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from rexcli.report import render
from tests.report.fixtures import HOSTILE, carried, entry, training

CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium") or shutil.which("google-chrome")


def browse(file: Path) -> str:
    """The document after its script has run, as the browser has it."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    done = subprocess.run([*command, file.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


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
