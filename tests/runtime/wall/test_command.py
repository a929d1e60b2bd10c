"""`rex record clock=wall` as a process: exit codes, what is printed, what a kill leaves, and the plant."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rexcli.runs.recording import read_recording

ROBOT = """
import sys, time
from pathlib import Path
import numpy as np
from rexcli import Node

class Part(Node):
    jit = False

    def __init__(self, how: str = "", home: str = "."):
        self.how, self.home = how, Path(home)

    def init_output(self, rng, graph_state):
        return np.zeros((), np.float32)

    def startup(self, graph_state, timeout=None):
        (self.home / f"{self.name}.started").touch()
        return True

    def step(self, state):
        if self.how == "raise" and state.seq == 5:
            raise ValueError("the cable is off")
        if self.how == "hang" and state.seq == 5:
            time.sleep(60)
        return state, np.float32(state.seq)

    def stop(self, timeout=None):
        (self.home / f"{self.name}.stopped").touch()
        return True
"""
CONF = """
defaults: [base, _self_]
name: robot
supervisor: arm
clock: wall
nodes:
  eye: {{_target_: nodes.robot.Part, rate: 100, home: {home}, delay: 0.0}}
  arm: {{_target_: nodes.robot.Part, rate: 100, home: {home}, delay: 0.0}}
edges:
  eye_arm: {{from: eye, to: arm, blocking: true}}
record: {{steps: 100000}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("conf", "nodes"):
        (tmp_path / folder).mkdir()
    base = Path(__file__).parents[3] / "conf" / "base.yaml"
    (tmp_path / "conf/base.yaml").write_text(base.read_text())
    (tmp_path / "conf/robot.yaml").write_text(CONF.format(home=tmp_path))
    (tmp_path / "nodes/__init__.py").touch()
    (tmp_path / "nodes/robot.py").write_text(ROBOT)
    return tmp_path


def start(project: Path, *words: str, under: Sequence[str] = ()) -> subprocess.Popen[str]:
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": root}
    command = [*under, sys.executable, "-m", "rexcli.cli.main", "record", "conf=robot", *words]
    return subprocess.Popen(
        command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def recordings(project: Path) -> list[Path]:
    return sorted(project.glob("outputs/robot/record/*/recording.mcap"))


def wait_until_it_runs(project: Path, seconds: float = 60) -> Path:
    """Until the nodes are started, and half a second more; the recording."""
    until = time.monotonic() + seconds
    while not (project / "arm.started").exists():
        assert time.monotonic() < until, "it does not start"
        time.sleep(0.02)
    return recordings(project)[0]


def status(recording: Path) -> str:
    return str(json.loads((recording.parent / "run.json").read_text())["status"])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="root has rights to give away")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv takes rights away")
def test_without_the_right_to_priorities_it_runs_and_says_so(project: Path) -> None:
    without = ("setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice")
    with start(project, "record.steps=5", under=without) as process:
        _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    warned = [line for line in told.splitlines() if "wall.priority=10" in line]
    assert len(warned) == 1
    assert warned[0].startswith("warning: wall.priority=10: this user may have no real-time priority here")
    (recording,) = recordings(project)
    assert warned[0].removeprefix("warning: ") in (recording.parent / "log.txt").read_text()


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [pytest.param(signal.SIGINT, 130, "interrupted", marks=pytest.mark.slow), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_stops_all_nodes_and_has_its_exit_code(
    project: Path, number: signal.Signals, code: int, word: str
) -> None:
    with start(project) as process:
        recording = wait_until_it_runs(project)
        time.sleep(0.6)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    assert process.returncode == code, told
    assert word in told
    assert (project / "eye.stopped").exists()
    assert (project / "arm.stopped").exists()
    assert status(recording) == "interrupted"
    read = read_recording(recording)
    assert read.complete
    assert read.timeline().num_steps[0] > 10
    assert (recording.parent / "timeline.npz").exists()


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        pytest.param("raise", "node 'arm': step 5 raised ValueError: the cable is off", marks=pytest.mark.slow),
        pytest.param("hang", "node 'arm': step 5 has not ended", marks=pytest.mark.slow),
    ],
)
def test_what_goes_wrong_is_told_and_the_exit_code_is_1(project: Path, how: str, reason: str) -> None:
    with start(project, f"nodes.arm.how={how}") as process:
        out, told = process.communicate(timeout=90)
    assert process.returncode == 1, told
    assert reason in told
    assert "arm" in out, "the table of how punctual the nodes were"
    [recording] = recordings(project)
    assert status(recording) == "failed"
    assert read_recording(recording).timeline().steps["arm"].count[0] == 5
    assert (project / "eye.stopped").exists()
    assert (project / "arm.stopped").exists()


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(4))
def test_a_run_killed_at_any_moment_keeps_all_but_its_last_second(project: Path, turn: int) -> None:
    after = float(np.random.default_rng(turn).uniform(0.0, 3.0))
    with start(project) as process:
        recording = wait_until_it_runs(project)
        began = time.monotonic()
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        lived = time.monotonic() - began
        process.communicate(timeout=60)  # the process that writes holds the error output too, until it has ended
    read = read_recording(recording)
    from mcap.reader import make_reader

    with recording.open("rb") as file:
        assert sum(1 for _ in make_reader(file).iter_messages()) > 0 or lived < 1.0
    kept = read.timeline().steps["arm"].end[0].max() / 1e9 if lived > 1.2 else lived
    assert kept > lived - 1.0


needs_mujoco = pytest.mark.skipif(importlib.util.find_spec("mujoco") is None, reason="needs mujoco, an optional extra")


@pytest.mark.slow
@needs_mujoco
def test_the_plant_turns_with_the_motor_and_rests_without() -> None:
    from nodes.pendulum.bus import Bus
    from nodes.pendulum.plant import COMMAND, READING

    encoder, motor = Bus(), Bus()
    process = Bus._process
    try:
        angle, speed, age = encoder.ask(b"READ", 0.0, READING, 2.0)
        assert (angle, speed) == pytest.approx((np.pi, 0.0), abs=1e-6)
        assert 0 <= age < 0.01
        assert motor.ask(b"MOTR", 99.0, COMMAND, 2.0) == (2.0,), "more than the motor takes is cut"
        until = time.monotonic() + 0.12
        fastest = 0.0
        while time.monotonic() < until:
            fastest = max(fastest, encoder.ask(b"READ", 0.0, READING, 2.0)[1])
        assert fastest > 2.0
        time.sleep(3.0)
        angle, speed, _ = encoder.ask(b"READ", 0.0, READING, 2.0)
        assert abs(speed) < 0.05, "the motor is off when nobody commands it"
        assert abs(angle - np.pi) < 0.1
    finally:
        encoder.close()
        motor.close()
    assert process is not None
    assert process.poll() is not None, "the plant is left behind"


@pytest.mark.slow
@needs_mujoco
def test_a_recording_of_hardware_rolls_out_in_the_simulated_world(tmp_path: Path) -> None:
    from rexcli import pipeline
    from rexcli.runs.recording import RecordingWriter

    real = pipeline.compose("pendulum_real", "record.steps=60", "action.source=constant", "action.value=1.0")
    system = pipeline.build(real)
    controller, _ = pipeline.controller(real, system)
    run = tmp_path / "run"
    run.mkdir()
    with RecordingWriter(run / "recording.mcap", system.timing) as writer:
        outcome = pipeline.record_wall(real, system, writer=writer, controller=controller).check()
    assert outcome.steps == 60
    recording = read_recording(run / "recording.mcap")
    th = recording.values("sensor", "output")["th"][0]
    assert abs(th[40] - np.pi) > 0.1, "the pendulum moves"
    timeline = recording.timeline()
    (run / "config.yaml").write_text("{}\n")
    (run / "run.json").write_text(json.dumps({"command": "record", "experiment": "pendulum_real", "status": "done"}))
    experiment = pipeline.compose("pendulum", f"from={run}", "rollout.num=4")
    simulated = pipeline.build(experiment)
    merged, _ = pipeline.timeline_for(experiment, simulated)
    np.testing.assert_array_equal(merged.steps["sensor"].start, timeline.steps["sensor"].start)
    rollouts = pipeline.rollout(experiment, pipeline.compile(experiment, simulated, merged))
    assert rollouts.num == 4
    assert np.isfinite(np.asarray(rollouts.record["world"].fields["state"].th)).all()
