"""What a recording on the wall clock says at its end."""

from __future__ import annotations

import dataclasses

import pytest

from rexcli.cli.wall import missed_ticks
from rexcli.runtime.wall.latency import Punctuality

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
