"""The whole pipeline from the command line: every command leaves a run whose files open."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader
from PIL import Image

from rexcli.cli.main import main
from rexcli.runs.view import RunView, find_run
from tests.cli.conftest import PICTURES


@pytest.fixture
def project(runs_of_commands, monkeypatch):
    """The project with one run of each command, as the working directory."""
    monkeypatch.chdir(runs_of_commands)
    return runs_of_commands


def run_of(project: Path, command: str) -> RunView:
    return find_run(f"latest:{command}", project / "outputs")


@pytest.mark.parametrize(
    ("command", "artifacts"),
    [
        ("record", ["recording.mcap", "timeline.npz"]),
        ("compile", ["timeline.npz", "plan.npz", "program.json"]),
        ("rollout", ["timeline.npz", "rollouts.npz", "program.json"]),
        ("train", ["metrics.csv", "policy/policy.json", "policies/1/policy.json"]),
        ("eval", ["evaluation.csv", "rollouts.npz"]),
    ],
)
def test_every_command_leaves_its_artifacts(project, command, artifacts):
    view = run_of(project, command)
    assert view.status == "done"
    assert view.results
    listed = {artifact["name"] for artifact in view.artifacts}
    assert listed >= set(artifacts)
    drawn = {Path(name).stem for name in listed if name.startswith("plots/")}
    assert drawn == set(PICTURES[command])
    for name in listed:
        path = view.path / name
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                assert all(arrays[key] is not None for key in arrays.files)
        elif path.suffix in (".png", ".gif"):
            with Image.open(path) as picture:
                picture.verify()
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".mcap":
            with path.open("rb") as stream:
                topics = {channel.topic for _, channel, _ in make_reader(stream).iter_messages()}
            assert topics >= {"/world", "/agent", "/sensor", "/actuator"}


def test_recording_holds_the_timeline_that_was_executed(project):
    view = run_of(project, "record")
    recorded, saved = view.recording().timeline(), view.timeline()
    for name, steps in saved.steps.items():
        np.testing.assert_array_equal(recorded.steps[name].start, steps.start)
        np.testing.assert_array_equal(recorded.steps[name].end, steps.end)
    for name, messages in saved.messages.items():
        np.testing.assert_array_equal(recorded.messages[name].arrive, messages.arrive)
        np.testing.assert_array_equal(recorded.messages[name].reader, messages.reader)


def test_program_from_recording_repeats_it(project):
    """The agent's constant action reaches the world in the rollout at the ticks at which it did in the recording."""
    recording, saved = run_of(project, "record").timeline(), run_of(project, "compile").timeline()
    for name in recording.steps:
        np.testing.assert_array_equal(recording.steps[name].start, saved.steps[name].start)


def test_rollouts_are_as_many_as_asked_for(project):
    view = run_of(project, "rollout")
    arrays = view.arrays("rollouts.npz")
    assert view.results["rollouts"] == 20
    assert arrays["world/state/th"].shape == (5, view.results["steps each"])
    assert (arrays["agent/seq"] == np.arange(view.results["steps each"])).all()


@pytest.mark.usefixtures("undrawn")
def test_policy_acts_in_record(project):
    assert main(["record", "policy=latest:train", "record.steps=20", "--quiet"]) == 0
    view = run_of(project, "record")
    assert any("train" in parent for parent in view.parents)
    actions = view.recording().values("agent", "output")["action"]
    assert np.unique(actions).size > 1


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_policy_acts_in_rollouts(project):
    assert main(["rollout", "policy=latest:train", "rollout.num=4", "timeline.steps=30", "--quiet"]) == 0
    actions = run_of(project, "rollout").arrays("rollouts.npz")["agent/output/action"]
    assert np.unique(actions).size > 1


def test_plot_overlays_runs(project):
    runs = [str(run_of(project, "train").path)] * 2
    assert main(["plot", *runs, "training", "--out", "overlay", "--quiet"]) == 0
    assert Image.open("overlay/training.png").size[0] > 500


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_sweep_ends_with_a_table_of_jobs(project, capsys):
    assert main(["record", "-m", "record.steps=5,6", "nodes.agent.rate=25,50", "--json"]) == 0
    sweep = Path(json.loads(capsys.readouterr().out)["run"])
    rows = (sweep / "sweep.csv").read_text().splitlines()
    assert len(rows) == 5
    assert {"record.steps", "nodes.agent.rate", "steps"} <= set(rows[0].split(","))
    assert {path.name for path in sweep.iterdir() if path.is_dir()} >= {"0", "1", "2", "3"}


def test_export_gives_the_two_tables(project):
    assert main(["export", "latest:record", "--to", "csv", "--out", "tables", "--quiet"]) == 0
    assert Path("tables/steps.csv").read_text().startswith("episode,node,seq,ts_start,ts_end\n")
    header = "episode,source,target,seq_out,seq_in,ts_sent,ts_recv\n"
    assert Path("tables/messages.csv").read_text().startswith(header)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["record", "conf=nosuch"], "pendulum"),
        (["record", "record.stepz=3"], "steps"),
        (["record", "nodes.agent.rate=-1"], "positive"),
        (["record", "edges.sensor_agent.to=agnt"], "agent"),
        (["record", "edges.actuator_world.skip=false"], "skip: true"),
        (["train", "env=null"], "env"),
        (["rollout", "from=latest:nosuch"], "nosuch"),
        (["rollout", "timeline.steps=20", "rollout.steps=30"], "20"),
        (["train", "from=latest:record", "env.seconds=20"], "1000 steps"),
        (["record", "policy=nowhere"], "nowhere"),
        (["eval", "latest:record"], "policy"),
        (["compile", "compile.devices=4096"], "4096"),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_nothing(project, capsys, words, hint):
    def runs():
        return sorted(path for path in (project / "outputs").glob("*/*/*") if path.is_dir())

    before = runs()
    assert main(words) == 2
    *stages, error = capsys.readouterr().err.splitlines()
    assert all(re.fullmatch(r"[a-z ]+: [0-9.]+ s", stage) for stage in stages)
    assert error.startswith("error: ")
    assert len(error.splitlines()) == 1
    assert hint in error
    assert runs() == before


@pytest.mark.slow
def test_interrupt_keeps_what_was_recorded(project):
    process = subprocess.Popen(
        [sys.executable, "-m", "rexcli.cli.main", "record", "record.steps=200", "real_time_factor=1.0", "name=stopped"],
        cwd=project,
        stderr=subprocess.PIPE,
        text=True,
    )
    recording = "outputs/stopped/record/*/recording.mcap"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and not any(path.stat().st_size > 20_000 for path in project.glob(recording)):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "Traceback" not in error
    view = find_run("latest:record", project / "outputs")
    assert view.status == "interrupted"
    assert view.recording().timeline().num_steps[0] >= 1


@pytest.mark.parametrize("clock", ["simulated", "wall"])
def test_a_step_that_asks_for_an_input_that_there_is_not_leaves_no_run(project, capsys, clock):
    before = sorted((project / "outputs").rglob("run.json"))
    assert main(["record", f"clock={clock}", "edges.world_sensor.name=plant", "--quiet"]) == 2
    said = capsys.readouterr().err
    assert "'sensor'" in said
    assert "'world'" in said
    assert "plant" in said
    assert sorted((project / "outputs").rglob("run.json")) == before
