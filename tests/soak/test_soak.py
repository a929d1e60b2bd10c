"""The soaks in short: a minute or two in all."""

from __future__ import annotations

import random
import signal
import sys
from pathlib import Path

import pytest

from tests.soak import full_disk, kills, signals, starts, wall_clock
from tests.soak.process_usage import ProcessUsage
from tests.soak.project import make_project, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells what a process holds"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project, with an unbroken training in it."""
    place = make_project(tmp_path_factory.mktemp("soak") / "project")
    code, said = run(place, "train", "--quiet")
    assert code == 0, said
    return place


def test_memory_of_the_wall_clock_stays() -> None:
    outcome, bare, watch = wall_clock.run(wall_clock.robot(4, 200.0), 20.0, priority=10)
    assert outcome.error is None
    assert bare["missed"] >= 0
    assert [each.ticks for each in outcome.punctuality if each.node == "agent"] == [4001]
    assert len(watch.samples) >= 15
    assert watch.growth(10.0)[0] < 2 * wall_clock.ALLOWED


def test_starts_and_stops_leave_no_thread_process_or_file() -> None:
    seen = starts.run(20, steps=3)
    lines = starts.left_behind([seen[4], seen[-1]])
    assert [line for line in lines if "memory" not in line] == []


def test_what_is_left_behind_is_told() -> None:
    few, many = ProcessUsage(10**8, 5, 6, 0), ProcessUsage(10**8 + 10**7, 6, 7, 1)
    assert starts.left_behind([(100, few), (1000, few)]) == []
    assert starts.left_behind([(100, few), (1000, many)]) == [
        "1 more threads than after 100 cycles",
        "1 more processes than after 100 cycles",
        "1 more files than after 100 cycles",
        "memory grows by 10.9 kB a cycle",
    ]


@pytest.mark.parametrize("what", ["compile", "train", "a sweep of rollouts"])
def test_a_kill_leaves_what_can_go_on(project: Path, what: str) -> None:
    share = random.Random(what).uniform(0.5, 1.0)
    found = kills.kill(project, what, share, 8.0, kills.unbroken_training(project))
    assert found.wrong == ()


@pytest.mark.parametrize("number", signals.CODES)
def test_a_signal_leaves_what_can_go_on(project: Path, number: signal.Signals) -> None:
    found = signals.stop(project, "a sweep of trainings", number, 0.6, 10.0, None)
    assert found.wrong == ()


def test_a_compilation_that_meets_a_full_disk_can_be_made_again() -> None:
    with full_disk.project() as place:
        disk = full_disk.Disk(place / "outputs")
        for operation in (2, 6):
            found = full_disk.attempt(place, "compile", disk.full_at(operation))
            assert (found.code, found.wrong) == (1, ())


@pytest.mark.skipif(not full_disk.can_mount(), reason="this user may not mount file systems")
def test_a_file_system_that_is_too_small_is_told() -> None:
    with full_disk.project() as place, full_disk.small_file_system(place / "outputs"):
        for room in (4096, 40_000):
            found = full_disk.attempt(place, "compile", full_disk.limited(place / "outputs", room))
            assert (found.code, found.wrong) == (1, ())
