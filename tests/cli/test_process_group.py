"""`rex train` in several processes of this machine."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from rexcli.cli.console import Console
from rexcli.cli.main import main
from rexcli.cli.process_group import stop_requests
from rexcli.runs.view import RunView
from tests.cli.conftest import SMALL_TRAINING
from tests.free_port import free_port

WORDS = [*SMALL_TRAINING, "ppo.num_seeds=3", "compile.devices=1", "ppo.total_timesteps=12800", "ppo.num_evals=25"]
SAME = ("metrics.csv", "timeline.npz", "policy/weights.npz", "policies/2/weights.npz", "rollouts.npz")


class Trainings:
    """Starts `rex train` in processes of their own."""

    def __init__(self, folder: Path):
        self.folder, self.running = folder, []

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "rexcli.cli.main", "train", *words]
        where = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        pipe = subprocess.PIPE
        self.running.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=self.folder, env=where))
        return self.running[-1]

    def group(self, count: int, *words: str, timeout: int = 60) -> list[subprocess.Popen[str]]:
        there = [f"distributed.coordinator=127.0.0.1:{free_port()}", f"distributed.processes={count}"]
        numbers = range(count)
        return [
            self.start(*words, *there, f"distributed.process={n}", f"distributed.timeout={timeout}") for n in numbers
        ]

    def run_of(self, name: str) -> RunView:
        return RunView(next((self.folder / "outputs" / name / "train").iterdir()))

    def wait_for_evaluations(self, name: str, number: int) -> None:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and all(process.poll() is None for process in self.running):
            metrics = self.folder.glob(f"outputs/{name}/train/*/metrics.csv")
            if any(len(path.read_text().splitlines()) > 3 * number for path in metrics):
                return
            time.sleep(0.01)
        raise AssertionError([process.communicate() for process in self.running if process.poll() is not None])


@pytest.fixture
def trainings(tmp_path):
    started = Trainings(tmp_path)
    yield started
    for process in started.running:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What one process makes of it."""
    alone = Trainings(tmp_path_factory.mktemp("whole"))
    code, _, err = ended(alone.start(*WORDS, "name=whole"))
    assert code == 0, err
    return alone.run_of("whole")


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def assert_same(run: RunView, other: RunView) -> None:
    for name in SAME:
        assert (run.path / name).read_bytes() == (other.path / name).read_bytes(), name
    assert run.results["return mean"] == other.results["return mean"]


@pytest.mark.slow
def test_two_processes_train_what_one_trains_and_only_the_first_speaks(trainings, whole):
    leader, helper = trainings.group(2, *WORDS, "name=both")
    code, out, err = ended(leader)
    assert code == 0, err
    assert "outputs/both/train" in out
    assert ended(helper) == (0, "", "")
    assert_same(trainings.run_of("both"), whole)
    assert "coordinator: null" in (trainings.run_of("both").path / "config.yaml").read_text()


@pytest.mark.slow
def test_sigterm_in_any_process_stops_all_and_one_process_goes_on(trainings, whole):
    leader, helper = trainings.group(2, *WORDS, "name=stopped")
    trainings.wait_for_evaluations("stopped", 3)
    helper.send_signal(signal.SIGTERM)
    code, _, err = ended(leader)
    assert code == 130
    assert "interrupted; go on with: rex train resume=" in err
    assert ended(helper) == (130, "", "interrupted\n")
    run = trainings.run_of("stopped")
    assert run.status == "interrupted"
    code, _, err = ended(trainings.start(f"resume={run.path}"))
    assert code == 0, err
    assert_same(RunView(run.path), whole)


@pytest.mark.long
@pytest.mark.slow
def test_a_training_that_lost_a_process_goes_on_in_three(trainings, whole):
    leader, helper = trainings.group(2, *WORDS, "name=lost", timeout=10)
    trainings.wait_for_evaluations("lost", 3)
    helper.send_signal(signal.SIGKILL)
    code, _, err = ended(leader)
    assert code == 1
    assert "process 1 is gone" in err.splitlines()[-1]
    run = trainings.run_of("lost")
    assert run.status == "killed"
    for number, process in enumerate(trainings.group(3, f"resume={run.path}")):
        code, out, err = ended(process)
        assert code == 0, err
        assert bool(out) == (number == 0)
    assert_same(RunView(run.path), whole)


@pytest.mark.slow
def test_processes_with_different_command_lines_all_end(trainings):
    where = [f"distributed.coordinator=127.0.0.1:{free_port()}", "distributed.processes=2"]
    leader = trainings.start(*WORDS, *where, "distributed.process=0")
    helper = trainings.start(*WORDS, *where, "distributed.process=1", "ppo.lr=1")
    code, _, err = ended(helper)
    assert code == 2
    assert err.startswith("error: ppo.lr is 1.0 here and ")
    code, out, err = ended(leader)
    assert (code, out) == (2, "")
    assert "error: process 1: ppo.lr is 1.0 here" in err.splitlines()[-1]
    assert not (trainings.folder / "outputs").exists()


@pytest.mark.slow
def test_nobody_waits_for_ever_for_one_who_does_not_come(trainings):
    for number, message in ((0, "not all of the 2 processes came"), (1, "process 0 was not reached")):
        where = [
            f"distributed.coordinator=127.0.0.1:{free_port()}",
            "distributed.processes=2",
            "distributed.timeout=10",
        ]
        code, out, err = ended(trainings.start(*WORDS, *where, f"distributed.process={number}"))
        assert (code, out) == (2, "")
        assert message in err
        assert len(err.splitlines()) == 1
    assert not (trainings.folder / "outputs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rollout", "distributed.coordinator=here:1"], "serve `rex train`, not rex rollout"),
        (["record", "distributed.coordinator=auto"], "serve `rex train`, not rex record"),
        (["train", "-m", "seed=1,2", "distributed.coordinator=here:1"], "not a sweep"),
        (["train", "distributed.process=1"], "give distributed.coordinator too"),
        (["train", "distributed.coordinator=here:1", "distributed.processes=2"], "distributed.process is missing"),
        (
            [
                "train", "ppo.num_seeds=2",
                "distributed.coordinator=here:1", "distributed.processes=3", "distributed.process=0",
            ],
            "distributed.processes=3: ppo.num_seeds=2 leaves some without a seed; start 2 processes",
        ),
    ],
)  # fmt: skip
def test_what_several_processes_cannot_do_is_refused_before_anything_starts(
    tmp_path, monkeypatch, capsys, words, message
):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_all_to_stop_and_the_next_one_stops(number):
    said, heard = io.StringIO(), []
    before = {each: signal.signal(each, lambda got, _: heard.append(got)) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        with stop_requests(SimpleNamespace(count=2), Console(stderr=said)) as stop:
            assert not stop()
            signal.raise_signal(number)
            assert stop()
            assert heard == []
            assert "stopping all processes after this evaluation" in said.getvalue()
            signal.raise_signal(number)
        assert heard == [number]
        with stop_requests(SimpleNamespace(count=2)) as stop:
            assert not stop()
        with stop_requests(SimpleNamespace(count=1)) as stop:
            signal.raise_signal(number)
            assert not stop(), "a process that is alone ends as every command does"
        assert heard == [number, number]
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
