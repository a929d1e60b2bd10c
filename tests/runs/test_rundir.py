"""A run says what it is from its first moment to its last, however it ends."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import signal
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rexcli import signals
from rexcli.errors import RexError
from rexcli.runs import storage
from rexcli.runs.rundir import Run
from rexcli.runs.storage import atomic_file, atomic_folder
from rexcli.runs.view import RunView
from tests.runs.executions import assert_same, chain_timeline, events, record


def new_run(root: Path, command: str = "train", **options: Any) -> Run:
    options = {"argv": ["rex", command, "ppo.lr=1e-4"], "seed": 7, "config_yaml": "name: pendulum\n", **options}
    return Run.create(root, "pendulum", command, **options)


def test_a_run_is_declared_before_it_starts(tmp_path: Path) -> None:
    run = new_run(tmp_path / "outputs")
    assert run.path.parent == tmp_path / "outputs" / "pendulum" / "train"
    view = RunView(run.path)
    assert (view.status, view.experiment, view.command, view.seed) == ("running", "pendulum", "train", 7)
    assert view.command_line == "rex train ppo.lr=1e-4"
    assert view.config == {"name": "pendulum"}
    assert view.ended is None
    assert view.versions["numpy"] == np.__version__
    assert view.versions["python"] is not None
    assert view.versions["python"].split(".")[:2] == [str(part) for part in sys.version_info[:2]]


def test_a_run_that_ends_well_lists_what_it_made(tmp_path: Path) -> None:
    with new_run(tmp_path) as run:
        run.write_bytes("note.txt", "hällo".encode())
        run.write_json("program.json", {"efficiency": np.float32(0.5), "worst": math.nan})
        run.write_arrays("rollouts.npz", {"world/state/th": np.arange(3.0)})
        run.write_csv("metrics.csv", ("step", "return"), [(0, -1.5), (1, math.inf)])
        run.write_bytes("plots/returns.png", b"png")
        with atomic_folder(run.path / "policy") as folder:
            (folder / "0").mkdir()
            (folder / "0" / "params").write_bytes(b"params")
        run.register("policy")
        run.add_result("return", np.float32(-2.0))
        run.add_result("hold", math.nan)
    view = RunView(run.path)
    assert (view.status, view.error) == ("done", None)
    assert view.ended is not None
    assert view.ended >= view.started
    assert view.results["return"] == -2.0
    assert math.isnan(view.results["hold"])
    assert [artifact["name"] for artifact in view.artifacts] == [
        "metrics.csv",
        "note.txt",
        "plots/returns.png",
        "policy/0/params",
        "program.json",
        "rollouts.npz",
    ]
    for artifact in view.artifacts:
        data = (run.path / artifact["name"]).read_bytes()
        assert (artifact["size"], artifact["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert set(view.files()) == {"config.yaml", "run.json", "log.txt"} | {entry["name"] for entry in view.artifacts}
    assert view.json("program.json") == {"efficiency": 0.5, "worst": "NaN"}
    np.testing.assert_array_equal(view.arrays("rollouts.npz")["world/state/th"], np.arange(3.0))
    np.testing.assert_array_equal(view.csv("metrics.csv")["return"], [-1.5, math.inf])


def test_an_artifact_written_again_is_listed_once(tmp_path: Path) -> None:
    with new_run(tmp_path) as run:
        for name in ("a", "b"):
            with atomic_folder(run.path / "policy") as folder:
                (folder / name).write_text(name)
            run.register("policy")
        run.write_bytes("x", b"1")
        run.write_bytes("x", b"22")
    assert [(entry["name"], entry["size"]) for entry in RunView(run.path).artifacts] == [("policy/b", 1), ("x", 2)]


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (KeyboardInterrupt(), "interrupted", None),
        (ValueError("it broke"), "failed", "ValueError: it broke"),
        (RexError("rate -1: give more"), "failed", "rate -1: give more"),
        (SystemExit(1), "failed", "SystemExit: 1"),
        (SystemExit(0), "done", None),
    ],
)
def test_a_run_says_how_it_ended_and_keeps_what_it_made(
    tmp_path: Path, error: BaseException, status: str, message: str | None
) -> None:
    run = new_run(tmp_path)

    def work() -> None:
        with run:
            run.write_bytes("made.txt", b"so far")
            run.write_bytes("other.txt", b"so far")
            with atomic_file(run.path / "half.txt") as path:
                path.write_text("half")
                raise error

    with pytest.raises(type(error)):
        work()
    view = RunView(run.path)
    assert (view.status, view.error) == (status, message)
    assert [artifact["name"] for artifact in view.artifacts] == ["made.txt", "other.txt"]
    assert not view.has("half.txt")
    assert status in (run.path / "log.txt").read_text()
    unforeseen = status == "failed" and not isinstance(error, RexError)
    assert ("Traceback" in (run.path / "log.txt").read_text()) == unforeseen


def test_the_log_holds_what_the_loggers_and_warnings_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("rex.nodes.talker")
    before = warnings.showwarning, logging.getLogger("rex").level, list(logging.getLogger("rex").handlers)
    run = new_run(tmp_path)
    with pytest.warns(UserWarning, match="mind the gap"), run:  # noqa: PT031
        logger.info("said at %d", 1)
        logger.debug("not said")
        warnings.warn("mind the gap", stacklevel=1)
        text = (run.path / "log.txt").read_text()
    assert "INFO rex.nodes.talker: said at 1" in text
    assert "not said" not in text
    assert "WARNING warnings" in text
    assert "UserWarning: mind the gap" in text
    logger.warning("after the end")
    assert "after the end" not in (run.path / "log.txt").read_text()
    assert (warnings.showwarning, logging.getLogger("rex").level, logging.getLogger("rex").handlers) == before
    assert "said at 1" in caplog.text


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda index: new_run(tmp_path, project=tmp_path, seed=index), range(24)))
    assert len({run.path for run in runs}) == 24
    assert sorted(RunView(run.path).seed or 0 for run in runs) == list(range(24))


def test_a_run_goes_where_it_is_told_but_not_over_another(tmp_path: Path) -> None:
    run = new_run(tmp_path, path=tmp_path / "sweep" / "3")
    assert run.path == tmp_path / "sweep" / "3"
    with pytest.raises(RexError, match="there is a run in this folder already"):
        new_run(tmp_path, path=tmp_path / "sweep" / "3")


def test_parents_are_relative_to_the_outputs(tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere"
    inside = tmp_path / "outputs" / "pendulum" / "record" / "x"
    run = new_run(tmp_path / "outputs", parents=[inside, str(outside)])
    assert RunView(run.path).parents == ["pendulum/record/x", str(outside)]


@pytest.mark.parametrize("name", ["run.json", "config.yaml", "log.txt", "../x", "/x", ""])
def test_artifacts_cannot_take_what_is_not_theirs(tmp_path: Path, name: str) -> None:
    run = new_run(tmp_path)
    with pytest.raises(RexError, match=r"run"):
        run.write_bytes(name, b"x")


@pytest.mark.parametrize("name", ["a/b", "..", "", "/x"])
def test_names_of_experiments_are_names_of_folders(tmp_path: Path, name: str) -> None:
    with pytest.raises(RexError, match="name"):
        Run.create(tmp_path, name, "train", argv=[], seed=0, config_yaml="")
    assert list(tmp_path.iterdir()) == []


def test_git_tells_the_revision_and_whether_it_was_changed(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    assert RunView(new_run(tmp_path / "a", project=project).path).git is None
    git = ["git", "-C", str(project), "-c", "user.name=x", "-c", "user.email=x@y"]
    subprocess.run([*git, "init", "-q"], check=True)
    (project / "a").write_text("a")
    subprocess.run([*git, "add", "a"], check=True)
    subprocess.run([*git, "commit", "-qm", "a"], check=True)
    revision = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert RunView(new_run(tmp_path / "b", project=project).path).git == {"revision": revision, "dirty": False}
    (project / "a").write_text("b")
    assert RunView(new_run(tmp_path / "c", project=project).path).git == {"revision": revision, "dirty": True}


def test_a_killed_run_is_seen_to_be_killed(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from rexcli.runs.rundir import Run
from tests.runs.executions import chain_timeline, events, record
from tests.runs.test_rundir import new_run
timeline = chain_timeline()
with new_run(Path(sys.argv[1])) as run:
    run.write_bytes("made.txt", b"so far")
    with run.recording(timeline.spec) as writer:
        record(writer, timeline, events(timeline))
        writer.flush()
        print(run.path, flush=True)
        sys.stdin.readline()
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], **pipes) as process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().strip())
        assert RunView(path).status == "running"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    view = RunView(path)
    assert view.status == "killed"
    assert view.has("made.txt")
    assert view.timeline().num_steps.tolist()[0] == 20


def test_a_process_id_that_is_used_again_is_another_process(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    data = json.loads((run.path / "run.json").read_text())
    assert data["process"]["pid"] == os.getpid()
    if data["process"]["started"] is None:
        pytest.skip("no /proc here")
    data["process"]["started"] -= 1
    (run.path / "run.json").write_text(json.dumps(data))
    assert RunView(run.path).status == "killed"


def test_a_recording_is_an_artifact_and_gives_the_timeline(tmp_path: Path) -> None:
    timeline = chain_timeline()
    with new_run(tmp_path, "record") as run, run.recording(timeline.spec, {"a": 1}) as writer:
        record(writer, timeline, events(timeline))
    view = RunView(run.path)
    assert [artifact["name"] for artifact in view.artifacts] == ["recording.mcap"]
    assert view.recording().info == {"a": 1}
    assert_same(view.timeline(), timeline)


def test_an_interrupted_recording_is_not_complete(tmp_path: Path) -> None:
    timeline = chain_timeline()
    run = new_run(tmp_path, "record")

    def work() -> None:
        with run, run.recording(timeline.spec) as writer:
            record(writer, timeline, events(timeline)[:-30])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    view = RunView(run.path)
    assert view.status == "interrupted"
    assert not view.recording().complete
    assert [artifact["name"] for artifact in view.artifacts] == ["recording.mcap"]


def test_a_disk_that_is_full_at_the_end_does_not_hide_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    def work(error: Exception | None) -> None:
        monkeypatch.undo()
        with new_run(tmp_path):
            monkeypatch.setattr(storage, "write_atomic", full)
            if error is not None:
                raise error

    with pytest.raises(ValueError, match="the cause"):
        work(ValueError("the cause"))
    with pytest.raises(OSError, match="No space left"):
        work(None)


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.write_bytes("first.txt", b"one")
    run.add_result("steps", 1)
    with pytest.raises(KeyboardInterrupt), run:
        raise KeyboardInterrupt
    with Run.reopen(run.path, argv=["rex", "train", "resume=it"]) as again:
        assert again.results == {"steps": 1}
        assert RunView(run.path).status == "running"
        again.write_bytes("second.txt", b"two")
    view = RunView(run.path)
    assert view.status == "done"
    assert {artifact["name"] for artifact in view.artifacts} == {"first.txt", "second.txt"}
    assert view.record["resumed"][0]["command_line"] == "rex train resume=it"


def test_a_running_run_is_not_reopened(tmp_path: Path) -> None:
    with new_run(tmp_path) as run, pytest.raises(RexError, match="still running"):
        Run.reopen(run.path, argv=["rex"])


def test_what_a_killed_writer_left_is_swept_when_the_run_goes_on(tmp_path: Path) -> None:
    with new_run(tmp_path) as run:
        run.write_bytes("kept.txt", b"kept")
    for left in (".rex-tmp-1-a-x.npz", "policy/.rex-tmp-2-b-y/deep/z"):
        (run.path / left).parent.mkdir(parents=True, exist_ok=True)
        (run.path / left).write_text("half")
    with Run.reopen(run.path, argv=["rex"]):
        pass
    assert not list(run.path.rglob(".rex-tmp-*"))
    assert (run.path / "kept.txt").read_text() == "kept"


@pytest.mark.parametrize("key", ["artifacts", "resumed", "results"])
@pytest.mark.parametrize("value", [3, "text", None])
def test_a_run_with_a_damaged_record_is_not_gone_on_with(tmp_path: Path, key: str, value: object) -> None:
    with new_run(tmp_path) as run:
        pass
    file = run.path / "run.json"
    before = {**json.loads(file.read_text()), key: value}
    file.write_text(json.dumps(before))
    with pytest.raises(RexError, match=r"run\.json: damaged"):
        Run.reopen(run.path, argv=["rex"])
    assert json.loads(file.read_text()) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_run_is_made_or_ends_leaves_none_that_looks_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    fsync, came, statuses = os.fsync, True, []

    def struck(file: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            signal.raise_signal(number)
        fsync(file)

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        for nth in range(1, 100):
            left = nth
            with monkeypatch.context() as patch, signals.raise_on_signal():
                patch.setattr(os, "fsync", struck)
                try:
                    with new_run(tmp_path, path=tmp_path / str(nth)):
                        pass
                    came = False
                except KeyboardInterrupt:
                    came = True
            statuses.append(RunView(tmp_path / str(nth)).status)
            if left > 0:
                break
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert not came, "no write was left without a signal"
    assert len(statuses) > 4
    assert set(statuses) == {"interrupted", "done"}
