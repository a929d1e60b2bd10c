"""What a latency sums up, against numbers that follow by hand."""

from __future__ import annotations

import math

import pytest

from rexcli.runtime.wall.latency import LatencyStatistics

MS = 1_000_000


def test_rates_and_lateness_add_up_over_episodes() -> None:
    latency = LatencyStatistics("arm", 100.0)
    for _ in range(2):
        for late in range(11):
            latency.add(late * MS, 2 * MS)
        latency.busy += 50 * MS
        latency.end_episode(5 * MS, 105 * MS, 11, 1)
    found = latency.summary()
    assert (found.ticks, found.missed) == (22, 2)
    assert found.rate == pytest.approx(100.0)
    assert found.busy == pytest.approx(0.5)
    assert (found.late_p50, found.late_max) == pytest.approx((0.005, 0.010))
    assert found.age_p50 == pytest.approx(0.002)


def test_the_episode_that_runs_counts_too() -> None:
    latency = LatencyStatistics("arm", 100.0)
    for _ in range(5):
        latency.add(0, None)
    found = latency.summary(recent=True, span=80 * MS, intervals=4, missed=3)
    assert found.rate == pytest.approx(50.0)
    assert found.missed == 3


def test_without_a_step_there_is_no_number() -> None:
    found = LatencyStatistics("arm", 100.0).summary()
    assert found.ticks == 0
    assert all(math.isnan(value) for value in (found.rate, found.late_p50, found.age_max, found.busy))
