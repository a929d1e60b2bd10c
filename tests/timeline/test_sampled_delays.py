"""Timelines of systems whose delays are drawn from distrax distributions."""

from __future__ import annotations

from functools import partial

import distrax
import numpy as np
import pytest

from rexcli.system.delays import as_delay
from rexcli.system.node import Node
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from rexcli.timeline.simulate import simulate
from rexcli.timeline.spec import NEVER


def mixture() -> distrax.Distribution:
    return distrax.MixtureSameFamily(
        distrax.Categorical(probs=np.array([0.3, 0.7])),
        distrax.Normal(loc=np.array([0.002, 0.015]), scale=np.array([0.001, 0.004])),
    )


DELAYS = {
    "normal": lambda: distrax.Normal(0.01, 0.003),
    "gamma": lambda: distrax.Gamma(2.0, 300.0),
    "uniform": lambda: distrax.Uniform(0.0, 0.02),
    "mixture": mixture,
    "log-normal": lambda: distrax.LogStddevNormal(0.01, -6.0),
    "constant": lambda: 0.004,
}


def build(delay, extra: bool = False) -> System:
    """A sensor, an agent that waits for it, and maybe one node more."""
    names = ["sensor", "agent", *(["extra"] if extra else [])]
    nodes = [(NodeSpec(name, 50.0, delay=as_delay(delay)), Node()) for name in names]
    edges = [Edge("sensor_agent", "sensor", "agent", "sensor", blocking=True, delay=as_delay(delay))]
    if extra:
        edges.append(Edge("agent_extra", "agent", "extra", "agent", delay=as_delay(delay)))
    return System(nodes, edges, "agent")


def timeline(system: System, *, episodes: int, steps: int, first_episode: int = 0):
    def sample(kind, name, ticks):
        return system.sample_delays(kind, name, 7, episodes, ticks, first_episode)

    return simulate(system.timing, sample, episodes=episodes, steps=steps)


@pytest.mark.parametrize(
    "family", [pytest.param(family, marks=pytest.mark.slow if family == "gamma" else ()) for family in DELAYS]
)
def test_a_longer_draw_extends_a_shorter_one(family):
    """What `simulate` asks of a sampler, for every family of delays."""
    sample = partial(build(DELAYS[family]()).sample_delays, "node", "sensor", 3, 2)
    np.testing.assert_array_equal(sample(130)[:, :37], sample(37))


def test_a_longer_timeline_extends_a_shorter_one():
    system = build(DELAYS["normal"]())
    short, long = timeline(system, episodes=3, steps=20), timeline(system, episodes=3, steps=60)
    for name, steps in short.steps.items():
        width = steps.start.shape[1]
        kept = np.arange(width) < steps.count[:, None]
        np.testing.assert_array_equal(long.steps[name].start[:, :width][kept], steps.start[kept])


def test_an_episode_does_not_depend_on_the_others():
    system = build(DELAYS["normal"]())
    batch = timeline(system, episodes=5, steps=20)
    alone = timeline(system, episodes=1, steps=20, first_episode=3)
    for name, steps in alone.steps.items():
        count = steps.count[0]
        np.testing.assert_array_equal(batch.steps[name].start[3, :count], steps.start[0])
        assert (batch.steps[name].start[3, count:] == NEVER).all()
    assert not np.array_equal(batch.steps["agent"].start[3], batch.steps["agent"].start[2])


def test_a_node_elsewhere_changes_nothing():
    without, more = build(DELAYS["normal"]()), build(DELAYS["normal"](), extra=True)
    one, other = timeline(without, episodes=2, steps=20), timeline(more, episodes=2, steps=20)
    for name, steps in one.steps.items():
        np.testing.assert_array_equal(other.steps[name].start, steps.start)
    reader = one.messages["sensor_agent"].reader
    np.testing.assert_array_equal(other.messages["sensor_agent"].reader, reader)
