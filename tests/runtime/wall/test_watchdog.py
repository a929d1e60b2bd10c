"""A step that hangs is told from a machine that stands still."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rexcli.runtime.wall import watchdog as module
from rexcli.runtime.wall.watchdog import LONGEST_LOOK, SHORTEST, Watchdog

MS = 1_000_000


class Clock:
    """Time that passes as the test says, and a step that runs since 0."""

    def __init__(self) -> None:
        self.time = 0
        self.tick = 7

    def look(self, dog: Watchdog, after: int) -> tuple[Any, float] | None:
        self.time += after
        node: Any = SimpleNamespace(name="arm", tick=self.tick, period=20 * MS)
        return dog.hung([(node, self.time)])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "now", lambda: made.time)
    return made


def test_a_step_hangs_that_takes_longer_than_it_may(clock: Clock) -> None:
    dog = Watchdog(15.0)
    found = next(found for _ in range(1000) if (found := clock.look(dog, 10 * MS)))
    assert (found[0].name, found[1]) == ("arm", pytest.approx(0.305, abs=0.01))


def test_a_machine_that_stands_still_is_no_step_that_hangs(clock: Clock) -> None:
    dog = Watchdog(1.0)
    clock.look(dog, 10 * MS)
    assert clock.look(dog, 5_000 * MS) is None
    looks = next(count for count in range(1000) if clock.look(dog, 10 * MS))
    assert looks * 0.01 == pytest.approx(SHORTEST - LONGEST_LOOK, abs=0.03)


def test_a_step_that_hangs_while_the_machine_is_slow_is_found(clock: Clock) -> None:
    dog = Watchdog(1.0)
    assert any(clock.look(dog, 500 * MS) for _ in range(round(SHORTEST / LONGEST_LOOK) + 1))


def test_the_next_step_has_its_own_time(clock: Clock) -> None:
    dog = Watchdog(1.0)
    for _ in range(100):
        clock.tick += 1
        clock.time = 0
        assert clock.look(dog, 50 * MS) is None


def test_without_a_limit_no_step_hangs(clock: Clock) -> None:
    dog = Watchdog(None)
    assert not any(clock.look(dog, 40 * MS) for _ in range(1000))
