"""Drawing runs into files: those pictures that the artifacts allow, whole, and clear words where it cannot be."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from rexcli.errors import RexError
from rexcli.plot import ages, draw_many, draw_run
from rexcli.plot.main import save
from rexcli.plot.registry import Animation, Options, Picture
from tests.plot.fixtures import (
    PENDULUM,
    FakeRun,
    bringing,
    metrics,
    pendulum_rollouts,
    program,
    recording,
    sweep,
    timeline_of,
)

EVERYTHING = {
    "timeline.npz": timeline_of(PENDULUM),
    "program.json": program(),
    "rollouts.npz": pendulum_rollouts(5),
    "metrics.csv": metrics(2, 4),
    "sweep.csv": sweep(),
}
FROM_TIMELINE = {"ages", "dataflow", "delays", "system"}


@pytest.mark.parametrize(
    ("artifacts", "names"),
    [
        ({}, {"system"}),
        ({"timeline.npz": EVERYTHING["timeline.npz"]}, FROM_TIMELINE),
        pytest.param({"recording.mcap": recording()}, FROM_TIMELINE | {"trajectories"}, marks=pytest.mark.slow),
        ({"rollouts.npz": EVERYTHING["rollouts.npz"]}, {"system", "trajectories"}),  # a field `th` makes no pendulum
    ],
    ids=["config", "timeline", "recording", "rollouts"],
)
def test_a_run_gets_the_pictures_that_its_artifacts_allow(tmp_path: Path, artifacts: dict, names: set[str]) -> None:
    files = draw_run(FakeRun(tmp_path, artifacts))
    assert {file.stem for file in files} == names
    assert sorted(files) == sorted((tmp_path / "plots").iterdir()), "nothing half-made is left behind"
    for file in files:
        with Image.open(file) as image:
            image.load()
            assert image.format == ("GIF" if file.suffix == ".gif" else "PNG")


@pytest.mark.parametrize(("format", "begin"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")])
def test_pictures_have_the_format_that_was_asked_for(tmp_path: Path, format: str, begin: bytes) -> None:
    [file] = draw_run(FakeRun(tmp_path, {}), only=["system"], format=format)
    assert file.name == f"system.{format}"
    assert file.read_bytes().startswith(begin)
    with pytest.raises(RexError, match="format 'gif': give 'png', 'svg' or 'pdf'"):
        draw_run(FakeRun(tmp_path, {}), format="gif")


def test_an_experiment_brings_a_picture_and_its_gif_runs_at_25_frames_a_second_for_ever(tmp_path: Path) -> None:
    run = FakeRun(tmp_path, EVERYTHING, bringing("nodes.pendulum.picture.Pendulum"))
    [file] = draw_run(run, only=["swing"], animation_seconds=1.0)
    assert file.name == "swing.gif"
    with Image.open(file) as image:
        assert image.info["duration"] == 40
        assert image.info["loop"] == 0
        assert image.n_frames == 26
    assert file.stat().st_size < 26 * 8_000


def test_a_picture_that_fails_is_logged_and_the_others_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Picture):
        def render(self, view: object, options: Options) -> Figure:
            raise ZeroDivisionError("on purpose")

    Broken.__module__ = ages.__name__
    monkeypatch.setattr(ages, "Ages", Broken)
    run = FakeRun(tmp_path, {})
    with caplog.at_level(logging.WARNING):
        assert {file.stem for file in draw_run(run)} == {"system"}
    said = rf"'ages' of {re.escape(str(run.path))} could not be drawn: ZeroDivisionError on purpose; what it is drawn"
    assert re.search(said, caplog.text)
    assert "Traceback" not in caplog.text  # only at level INFO, for `log.txt`
    with pytest.raises(RexError, match=said):
        draw_run(run, only=["ages"])


def test_what_cannot_be_drawn_is_refused_by_name(tmp_path: Path) -> None:
    run = FakeRun(tmp_path, {})
    with pytest.raises(RexError, match="picture 'systm' does not exist; did you mean 'system'"):
        draw_run(run, only=["systm"])
    with pytest.raises(RexError, match=r"'trajectories' is drawn from recording\.mcap or rollouts\.npz"):
        draw_run(run, only=["trajectories"])
    with pytest.raises(RexError, match="option 'max_second' does not exist"):
        draw_run(run, max_second=1.0)
    with pytest.raises(RexError, match="mode 'sent'"):
        draw_run(run, mode="sent")
    with pytest.raises(RexError, match="max_seconds 0"):
        draw_run(run, max_seconds=0)
    assert not (tmp_path / "plots").exists()


def test_several_runs_overlay_where_pictures_can(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    runs = [FakeRun(tmp_path / str(i), {"metrics.csv": metrics(2, 4)}, {**PENDULUM, "seed": i}) for i in range(3)]
    assert [file.name for file in draw_many(runs, tmp_path / "out")] == ["training.png"]
    with pytest.raises(RexError, match="one run at a time"):
        draw_many(runs, tmp_path / "out", only=["system"])
    with pytest.raises(RexError, match="no run"):
        draw_many([], tmp_path)
    draw_many([*runs, FakeRun(tmp_path / "bare", {})], tmp_path / "out")
    assert "bare has nothing to show there" in caplog.text


def test_an_interrupted_save_leaves_what_was_there(tmp_path: Path) -> None:
    file = save(Animation([np.zeros((8, 8, 3), np.uint8)] * 2), tmp_path / "a.gif")
    before = file.read_bytes()
    with pytest.raises(RexError, match="frame"):
        save(Animation([]), file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_drawing_imports_neither_jax_nor_pyplot_nor_node_code() -> None:
    code = (
        "import sys, rexcli.plot; rexcli.plot.pictures();"
        "print([m for m in ('jax', 'distrax', 'matplotlib.pyplot', 'hydra', 'nodes', 'seaborn') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
