"""The plants that stand in for robots: how long their messages take."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from nodes.pendulum.bus import Bus
from nodes.pendulum.plant import PLANTS, Link
from rexcli import RexError


def test_messages_take_longer_in_bursts() -> None:
    link = Link(0.01, 0.001, burst_mean=0.03, burst_begins=0.05, burst_ends=0.2)
    delays = np.array(list(islice(link.delays(np.random.default_rng(0)), 5000)))
    slow = delays > 0.02
    assert slow.mean() == pytest.approx(0.2, abs=0.03)
    lengths = np.diff(np.flatnonzero(np.diff(slow.astype(int))))[::2]
    assert lengths.mean() == pytest.approx(5.0, abs=1.0)
    assert delays[~slow].mean() == pytest.approx(0.01, abs=1e-3)
    assert delays[slow].mean() == pytest.approx(0.03, abs=1e-3)


def test_without_bursts_there_are_none_and_no_time_is_negative() -> None:
    assert list(islice(Link().delays(np.random.default_rng(0)), 3)) == [0.0, 0.0, 0.0]
    delays = list(islice(Link(0.001, 0.01).delays(np.random.default_rng(0)), 500))
    assert min(delays) == 0.0


def test_the_hard_plant_takes_40_to_80_ms_there_and_back() -> None:
    plant = PLANTS["hard"]
    hidden = (plant.frame_age or 0.0) + plant.command_delay
    calm = hidden + plant.reading_link.mean + plant.command_link.mean
    burst = hidden + plant.reading_link.burst_mean + plant.command_link.burst_mean
    assert 0.04 <= calm < burst <= 0.08


def test_a_plant_that_there_is_not_is_refused() -> None:
    with pytest.raises(RexError, match="plant 'soft': there is no such; give real or hard"):
        Bus(0, "soft")
