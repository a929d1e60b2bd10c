"""Two systems that differ in one thing: what is an adjustable delay in one is a constant in the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from rexcli.system.adjustable import AdjustableDelay, Interpolation
from rexcli.system.delays import Constant, Delay
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from rexcli.timeline.spec import NANOSECONDS
from tests.random_systems import Mixer

LOW, HIGH = 0.01, 0.11
ADJUSTED = ("world_agent", "agent_world")
ADJUSTABLE = AdjustableDelay(LOW, HIGH)
SETTINGS = tuple(
    {"agent": {"world": agent}, "world": {"agent": world}} for agent, world in ((0.01, 0.01), (0.04, 0.1), (0.11, 0.08))
)
"""Delays by reader; some make messages arrive exactly at a start."""


def loop(interpolation: Interpolation = "latest") -> System:
    """`world` sends to `agent`, and `agent` back with `skip`; both edges are adjustable, a third is not."""
    delay = AdjustableDelay(LOW, HIGH, interpolation=interpolation)
    nodes = [
        (NodeSpec("world", 25, delay=Constant(0.01)), Mixer(draws=False)),
        (NodeSpec("agent", 10, delay=Constant(0.02)), Mixer()),
    ]
    edges = [
        Edge("world_agent", "world", "agent", "world", window=2, delay=delay),
        Edge("fixed", "world", "agent", "fixed", delay=Constant(0.004)),
        Edge("agent_world", "agent", "world", "agent", window=2, skip=True, delay=delay),
    ]
    return System(nodes, edges, "agent")


def variant(system: System, change: Callable[[Edge], Edge] = lambda edge: edge, **nodes: Mixer) -> System:
    """The same system with other edges, and with some other nodes."""
    made = [(spec, nodes.get(name) or Mixer(system.nodes[name].draws)) for name, spec in system.specs.items()]
    return System(made, [change(edge) for edge in system.edges.values()], system.supervisor, system.init_order)


def with_delay(system: System, delay: Delay) -> System:
    """The same system with another delay on those edges that have an adjustable one, expected as it was."""
    return variant(
        system, lambda edge: replace(edge, delay=delay, expected_delay=HIGH) if edge.name in ADJUSTED else edge
    )


def constant(system: System, delays: Mapping[str, Mapping[str, float]]) -> System:
    """The same system with constants in place of adjustable delays, expected as those are."""

    def fixed(edge: Edge) -> Edge:
        if not isinstance(edge.delay, AdjustableDelay):
            return edge
        expected = system.timing.edge(edge.name).expected_delay / NANOSECONDS
        return replace(edge, delay=Constant(delays[edge.target][edge.input]), expected_delay=expected)

    return variant(system, fixed)
