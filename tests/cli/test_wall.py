"""What a recording on the wall clock says at its end."""

from __future__ import annotations

import dataclasses

import pytest

from rexcli.cli.wall import missed_ticks, quick_alone
from rexcli.runtime.wall.latency import Punctuality
from tests.runtime.wall.robots import Counter, Diary, chain

PUNCTUAL = Punctuality("arm", 500, 50.0, 50.0, 1e-5, 1e-4, 1e-3, 0, 0.2, 0.004, 0.01)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"busy": 0.97}, "its steps take 97% of the time"),
        ({"late_max": 0.03}, "this machine started them up to 30 ms late"),
        ({}, "what it waits for came too late"),
    ],
)
def test_missed_ticks_are_told_with_their_cause(changes: dict[str, float], why: str) -> None:
    said = missed_ticks(dataclasses.replace(PUNCTUAL, missed=20, **changes))
    assert said is not None
    assert said.startswith("node 'arm' missed 20 of 520 ticks at 50 Hz")
    assert why in said


def test_a_node_that_missed_none_is_not_told_of() -> None:
    assert missed_ticks(PUNCTUAL) is None


def test_quick_plain_nodes_in_threads_of_their_own_are_told_of() -> None:
    both = [dataclasses.replace(PUNCTUAL, node=name, busy=0.001) for name in ("n0", "n1")]
    slow = [dataclasses.replace(each, busy=0.5) for each in both]
    said = quick_alone(chain(Diary(), Counter()), both)
    assert said is not None
    assert "of their own: n0;" in said
    assert "nodes.n0.thread=shared" in said
    assert quick_alone(chain(Diary(), Counter()), slow) is None
    assert quick_alone(chain(Diary(), Counter(), thread="shared"), both) is None
    assert quick_alone(chain(Diary()), both[:1]) is None
