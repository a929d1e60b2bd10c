"""Ages and lateness against a system whose times follow by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rexcli.plot import ages
from rexcli.plot.declared import Declared
from tests.plot.boxes import by_gid, clipped, covered
from tests.plot.fixtures import PENDULUM, chain, config_of, timeline_of

RELAY = {
    "supervisor": "reader",
    "nodes": {"source": {"rate": 100, "delay": 0.001}, "reader": {"rate": 100, "delay": 0.001}},
    "edges": {"line": {"from": "source", "to": "reader", "delay": 0.002}},
}


def test_constant_delays_have_the_age_of_their_edge() -> None:
    timeline = timeline_of(RELAY)
    np.testing.assert_allclose(ages.message_ages(timeline, timeline.spec.edge("line")), 0.002, atol=1e-9)
    np.testing.assert_allclose(ages.lateness(timeline, "reader"), 0.0, atol=1e-9)


def test_a_slower_source_is_read_again_and_older() -> None:
    config = {**RELAY, "nodes": {**RELAY["nodes"], "source": {"rate": 50, "delay": 0.001}}}
    timeline = timeline_of(config, steps=20)
    found = ages.message_ages(timeline, timeline.spec.edge("line"))
    np.testing.assert_allclose(sorted(set(np.round(found, 9))), [0.002, 0.012])


def test_a_step_that_takes_longer_than_its_period_gets_later_and_later() -> None:
    config = config_of(["slow"], [], rate=100)
    config["nodes"]["slow"]["delay"] = 0.015
    late = ages.lateness(timeline_of(config, episodes=1, steps=10), "slow")
    np.testing.assert_allclose(late, 0.005 * np.arange(11), atol=1e-9)


@pytest.mark.parametrize("config", [PENDULUM, chain(5, 25), config_of(["solo"], [])], ids=["pendulum", "long", "one"])
def test_medians_are_drawn_and_labels_stay_apart(config: dict) -> None:
    timeline = timeline_of(config)
    fig = ages.draw(timeline, Declared.from_config(config))
    for name in timeline.steps:
        [line] = by_gid(fig.subfigs[0] if fig.subfigs else fig, f"median:{name}")[-1:]
        assert line.get_xdata()[0] == pytest.approx(np.median(ages.lateness(timeline, name)) * 1e3)
    assert covered(fig) == []
    assert clipped(fig) == []
