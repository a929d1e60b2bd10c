"""A system of three nodes with a loop, at rates that do not divide one another, shared by the tests of this folder."""

from __future__ import annotations

import functools

from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program, Skip
from rexcli.system.delays import Constant
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from rexcli.timeline.timeline import Timeline
from tests.compiler.timelines import draw_timeline
from tests.random_systems import Mixer

EPISODES, STEPS = 3, 6


@functools.cache
def system() -> System:
    nodes = [
        (NodeSpec("world", 25, delay=Constant(0.03)), Mixer(draws=False)),
        (NodeSpec("sensor", 12.5, delay=Constant(0.01)), Mixer(draws=False)),
        (NodeSpec("agent", 10, delay=Constant(0.01)), Mixer()),
    ]
    edges = [
        Edge("world_sensor", "world", "sensor", "world", window=2, delay=Constant(0.01)),
        Edge("sensor_agent", "sensor", "agent", "sensor", window=3, blocking=True, delay=Constant(0.005)),
        Edge("agent_world", "agent", "world", "agent", skip=True, delay=Constant(0.02)),
    ]
    return System(nodes, edges, "agent")


@functools.cache
def timeline(seed: int = 0) -> Timeline:
    return draw_timeline(system(), EPISODES, STEPS, seed)


@functools.cache
def program(skip: Skip = "cond", seed: int = 0) -> Program:
    return Program(system(), make_plan(timeline(seed)), skip)
