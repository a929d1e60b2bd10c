"""The pendulum as the tests of this folder use it: the tutorial's delays, a short timeline."""

from __future__ import annotations

import functools

import distrax

from nodes.pendulum import Actuator, Agent, OdeWorld, Sensor, SwingUp
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.config.build import build_environment
from rexcli.config.compose import compose
from rexcli.system.delays import as_delay
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from rexcli.timeline.simulate import simulate


def normal(loc: float, scale: float):
    return as_delay(distrax.Normal(loc, scale))


def make_system(start: str = "random") -> System:
    nodes = [
        (NodeSpec("world", 50), OdeWorld()),
        (NodeSpec("sensor", 50, delay=normal(0.0075, 0.003)), Sensor()),
        (NodeSpec("actuator", 50, delay=normal(0.0075, 0.003)), Actuator()),
        (NodeSpec("agent", 50, delay=normal(0.01, 0.003)), Agent(start=start)),
    ]
    edges = [
        Edge("world_sensor", "world", "sensor", "world", delay=normal(0.01, 0.002)),
        Edge("sensor_agent", "sensor", "agent", "sensor", window=3, blocking=True, delay=normal(0.002, 0.002)),
        Edge("agent_actuator", "agent", "actuator", "agent", blocking=True, delay=normal(0.002, 0.002)),
        Edge("actuator_world", "actuator", "world", "actuator", skip=True, delay=normal(0.01, 0.002)),
    ]
    return System(nodes, edges, "agent", ("agent",))


def make_program(system: System, *, episodes: int = 1, steps: int = 60, seed: int = 0) -> Program:
    def sample(kind, name, ticks):
        return system.sample_delays(kind, name, seed, episodes, ticks)

    return Program(
        system, make_plan(simulate(system.timing, sample, episodes=episodes, steps=steps), observed=("world",))
    )


def make_task(system: System) -> SwingUp:
    """With the metrics of `conf/pendulum.yaml`."""
    return build_environment(compose("pendulum"), system)


@functools.cache
def pendulum() -> tuple[Program, SwingUp]:
    system = make_system()
    return make_program(system, episodes=2), make_task(system)
