"""Timelines for the tests of this folder: one worked out by hand, and random ones that need no JAX."""

from __future__ import annotations

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from rexcli.compiler.plan import Plan
from rexcli.compiler.tables import SlotPlan
from rexcli.errors import RexError
from rexcli.system.system import System
from rexcli.timeline.order import order
from rexcli.timeline.simulate import simulate
from rexcli.timeline.spec import EdgeTiming, NodeTiming, SystemTiming
from rexcli.timeline.timeline import Messages, Steps, Timeline
from tests.random_systems import systems

MS = 1_000_000


def slots(plan: Plan) -> tuple[SlotPlan, ...]:
    """What every slot of a plan runs and reads."""
    return tuple(plan.table.slots())


def by_hand(window: int = 1) -> Timeline:
    """Node `a` sends to `b`, `b` to the supervisor `s`; every step ends as it starts, every message arrives at once.

    | node | starts, ms       | reads            |
    | a    | 1, 5, 12, 18, 25 |                  |
    | b    | 2, 13, 21        | a0; a1, a2; a3   |
    | s    | 10, 20, 30       | b0; b1; b2       |
    """
    starts = {"a": [1, 5, 12, 18, 25], "b": [2, 13, 21], "s": [10, 20, 30]}
    steps = {}
    for name, times in starts.items():
        start = np.array([times], np.int64) * MS
        steps[name] = Steps(start, start, np.array([len(times)]))
    readers = {"a_b": [0, 1, 1, 2, -1], "b_s": [0, 1, 2]}
    messages = {name: Messages(steps[name[0]].start, np.array([reader], np.int64)) for name, reader in readers.items()}
    edges = (EdgeTiming("a_b", "a", "b", window), EdgeTiming("b_s", "b", "s", window))
    return Timeline(SystemTiming(tuple(NodeTiming(name, 100.0) for name in starts), edges, "s"), steps, messages)


def draw_timeline(system: System, episodes: int, steps: int, seed: int = 0) -> Timeline:
    """A timeline with delays between none and twice the expected, drawn without JAX.

    Raises:
        RexError: if steps wait for each other.
    """
    rng = np.random.default_rng(seed)

    def sample(kind: str, name: str, ticks: int) -> np.ndarray:
        if kind == "loss":
            return system.sample_delays("loss", name, seed, episodes, ticks)
        timing = system.timing.node(name) if kind == "node" else system.timing.edge(name)
        return rng.integers(0, 2 * timing.expected_delay + 1, (episodes, ticks))

    timeline = simulate(system.timing, sample, episodes=episodes, steps=steps)
    for episode in range(episodes):
        order(timeline, episode)
    for edge in timeline.spec.edges:
        ticks = timeline.newest(edge)
        if edge.source == edge.target and (ticks >= np.arange(ticks.shape[1])).any():
            raise RexError(f"edge '{edge.name}': a step reads its own message")
    return timeline


@st.composite
def timelines(draw: st.DrawFn, max_nodes: int = 8, max_steps: int = 30) -> Timeline:
    """Random timelines of random systems."""
    system = draw(systems(max_nodes))
    try:
        return draw_timeline(
            system, draw(st.integers(1, 3)), draw(st.integers(1, max_steps)), draw(st.integers(0, 1000))
        )
    except RexError:
        reject()
