"""Runs are found by what a person types, and read as data, whoever wrote them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.errors import RexError
from rexcli.runs import view as view_module
from rexcli.runs.view import RunView, find_run, list_runs
from rexcli.timeline.arrays import to_arrays
from tests.runs.executions import assert_same, attempt, chain_timeline
from tests.runs.test_rundir import new_run


def finished(root: Path, command: str = "train", started: str = "", **files: str) -> Path:
    """A run that is done; `started` in place of the real time, so that the order is certain."""
    with new_run(root, command, project=root) as run:
        for name, text in files.items():
            run.write_bytes(name, text.encode())
    if started:
        data = json.loads((run.path / "run.json").read_text())
        (run.path / "run.json").write_text(json.dumps({**data, "started": started}))
    return run.path


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    root = tmp_path / "outputs"
    root.mkdir()
    return root


def test_latest_is_the_newest_of_all_or_of_a_command(outputs: Path) -> None:
    old = finished(outputs, "train", "2026-01-01T00:00:00")
    new = finished(outputs, "train", "2026-01-03T00:00:00")
    other = finished(outputs, "record", "2026-01-02T00:00:00", timeline="x")
    assert find_run("latest", outputs).path == new
    assert find_run("latest:record", outputs).path == other
    assert find_run("latest:train", outputs).path == new
    assert find_run("latest", outputs, having=["timeline", "recording"]).path == other
    assert [view.path for view in list_runs(outputs)] == [new, other, old]
    assert [view.path for view in list_runs(outputs, command="train")] == [new, old]
    assert list_runs(outputs, experiment="walker") == []


def runs_of(root: Path, times: Sequence[tuple[datetime, datetime]]) -> None:
    """Runs that differ in when they began, and when their `run.json` was written."""
    data = json.loads((finished(root) / "run.json").read_text())
    shutil.rmtree(root)
    for number, (began, written) in enumerate(times):
        file = root / str(number) / "run.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({**data, "started": began.isoformat()}))
        os.utime(file, (written.timestamp(), written.timestamp()))


FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = st.integers(0, 20).map(timedelta)


@settings(max_examples=20, deadline=None)
@given(days=st.lists(st.tuples(DAYS, DAYS), min_size=1, max_size=6), forgotten=st.booleans())
def test_the_latest_is_the_newest_whatever_the_times_of_files(
    days: list[tuple[timedelta, timedelta]], forgotten: bool
) -> None:
    """A `run.json` was written when its run began or later, or by an archive that keeps no times."""
    old = datetime(1980, 1, 1, tzinfo=UTC)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "outputs"
        runs_of(root, [(FIRST + day, old if forgotten else FIRST + day + later) for day, later in days])
        assert find_run("latest", root).path == list_runs(root)[0].path


def test_the_latest_is_found_without_reading_all(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs_of(outputs, [(FIRST + timedelta(day), FIRST + timedelta(day, 60)) for day in range(30)])
    read: list[str] = []

    def count(file: str) -> bytes:
        read.append(file)
        return Path(file).read_bytes()

    monkeypatch.setattr(view_module, "_bytes", count)
    assert find_run("latest", outputs).path.name == "29"
    assert len(read) <= 4


def test_this_processs_own_run_is_not_the_latest(outputs: Path) -> None:
    done = finished(outputs, started="2026-01-01T00:00:00")
    with new_run(outputs) as run:
        assert find_run("latest", outputs).path == done
    assert find_run("latest", outputs).path == run.path


def test_jobs_of_a_sweep_are_runs(outputs: Path) -> None:
    sweep = outputs / "pendulum" / "train" / "2026-01-01_00-00-00"
    jobs = [new_run(outputs, path=sweep / str(number)).path for number in range(2)]
    assert {view.path for view in list_runs(outputs)} == set(jobs)
    with pytest.raises(RexError, match=r"not one run but a folder of 2; name one, such as .*0"):
        find_run(str(sweep), outputs)


def test_a_run_is_found_by_its_folder_from_anywhere(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = finished(outputs, note="x")
    inside = path.relative_to(outputs)
    assert find_run(str(path), outputs).path == path
    assert find_run(str(inside), outputs).path == path
    assert find_run(str(path / "note"), outputs).path == path
    monkeypatch.chdir(outputs)
    assert find_run(str(inside), Path("nowhere")).path == inside


@pytest.mark.parametrize("text", ["nosuch", "latest", "latest:train", ""])
def test_a_run_that_is_not_there_is_said_so_with_the_fix(outputs: Path, text: str) -> None:
    with pytest.raises(RexError, match="give a run's folder"):
        find_run(text, outputs)


def test_what_a_run_has_not_is_said_so_with_what_it_has(outputs: Path) -> None:
    view = RunView(finished(outputs, **{"a.npz": "x", "b.csv": "x"}))
    with pytest.raises(RexError, match=r"this run of 'train' has no rollouts\.npz; it has a\.npz$"):
        view.arrays("rollouts.npz")
    with pytest.raises(RexError, match=r"has no recording\.mcap; it has none of this kind"):
        view.recording()
    with pytest.raises(RexError, match=r"this run of 'train' has no timeline; `record` and `compile` make one"):
        view.timeline()
    with pytest.raises(RexError, match=r"no run\.json here"):
        RunView(outputs)


def test_the_timeline_comes_back(outputs: Path) -> None:
    timeline = chain_timeline()
    with new_run(outputs, "compile") as run:
        run.write_arrays("timeline.npz", to_arrays(timeline))
    assert_same(RunView(run.path).timeline(), timeline)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../secret"])
def test_names_that_leave_the_run_are_refused(outputs: Path, name: str) -> None:
    view = RunView(finished(outputs))
    (view.path.parent / "secret").write_text("1")
    for read in (view.json, view.csv, view.arrays, view.has):
        with pytest.raises(RexError, match="not the name of a file inside a run"):
            read(name)
    data = json.loads((view.path / "run.json").read_text())
    data["artifacts"] = [{"name": name, "size": 1, "sha256": ""}]
    (view.path / "run.json").write_text(json.dumps(data))
    with pytest.raises(RexError, match=r"run\.json: damaged: artifact '.*': not the name"):
        RunView(view.path).artifacts  # noqa: B018


def test_unfinished_files_are_no_files_of_the_run(outputs: Path) -> None:
    view = RunView(finished(outputs, note="x"))
    (view.path / ".rex-tmp-1-ab-a.npz").write_text("half")
    (view.path / ".rex-tmp-1-ab-policy").mkdir()
    (view.path / ".rex-tmp-1-ab-policy" / "params").write_text("half")
    assert view.files() == ["config.yaml", "log.txt", "note", "run.json"]
    assert not view.has(".rex-tmp-1-ab-a.npz")


DAMAGED = {
    "a.npz": ("arrays", [b"", b"PK", b"\x93NUMPY", b"text"]),
    "a.json": ("json", [b"", b"{", b"NaN", b"\xff", b"[" * 100_000]),
    "a.csv": ("csv", [b"", b"a,b\n1\n", b"\xff"]),
}


@pytest.mark.parametrize(("name", "data"), [(name, data) for name, (_, all_) in DAMAGED.items() for data in all_])
def test_a_damaged_file_is_named(outputs: Path, name: str, data: bytes) -> None:
    view = RunView(finished(outputs))
    (view.path / name).write_bytes(data)
    with pytest.raises(RexError, match=f"{name}: damaged"):
        getattr(view, DAMAGED[name][0])(name)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "NaN", '{"status": 3}', "[" * 100_000])
def test_a_damaged_run_json_is_named_and_left_out_of_lists(outputs: Path, text: str) -> None:
    path = finished(outputs)
    (path / "run.json").write_text(text)
    with pytest.raises(RexError, match=r"run\.json: damaged"):
        RunView(path).status  # noqa: B018
    assert list_runs(outputs) == []


@pytest.mark.parametrize("text", ["!!python/object/apply:os.system ['true']", "- a", "a: [", "[" * 2000])
def test_a_config_that_is_no_plain_mapping_is_named(outputs: Path, text: str) -> None:
    path = finished(outputs)
    (path / "config.yaml").write_text(text)
    with pytest.raises(RexError, match=r"config\.yaml: damaged"):
        RunView(path).config  # noqa: B018


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_timeline_with_wrong_arrays_is_named(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    arrays = to_arrays(chain_timeline(episodes=1, steps=2))
    name = data.draw(st.sampled_from(sorted(arrays)))
    wrong = [np.zeros(0), np.zeros((1, 1), np.int32), np.array("x"), np.array("[1]"), np.zeros((7, 7), np.int64), None]
    value = data.draw(st.sampled_from(wrong))
    arrays.pop(name)
    if value is not None:
        arrays[name] = value
    root = tmp_path_factory.mktemp("outputs")
    with new_run(root, "compile", project=root) as run:
        run.write_arrays("timeline.npz", arrays)
    said = attempt(RunView(run.path).timeline)
    assert isinstance(said, str)
    assert "timeline.npz: damaged" in said


def test_an_archive_of_lies_is_named(outputs: Path) -> None:
    view = RunView(finished(outputs))
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,), }"
    with zipfile.ZipFile(view.path / "a.npz", "w") as archive:
        archive.writestr("x.npy", header.ljust(127) + b"\n")
        archive.writestr("../../escape.npy", b"")
    with pytest.raises(RexError, match=r"a\.npz: damaged"):
        view.arrays("a.npz")
    assert not list(outputs.rglob("escape*"))


def test_nothing_here_imports_jax() -> None:
    program = """
import sys
import rexcli.runs.rundir, rexcli.runs.view, rexcli.runs.exports.csv, rexcli.runs.recording
sys.exit(bool({"jax", "flax", "distrax"} & set(sys.modules)))
"""
    subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=True)
