"""Small systems written in milliseconds, so that their tables can be worked out by hand."""

from __future__ import annotations

import numpy as np

from rexcli.timeline.simulate import simulate
from rexcli.timeline.spec import EdgeTiming, NodeTiming, SystemTiming
from rexcli.timeline.timeline import Timeline

MS = 1_000_000


def node(name: str, rate: float = 100.0, expected: float = 0, **options) -> NodeTiming:
    """A node; `expected` delay in ms."""
    return NodeTiming(name, rate, round(expected * MS), **options)


def edge(source: str, target: str, expected: float = 0, name: str = "", **options) -> EdgeTiming:
    """An edge, called `source>target` unless named; `expected` delay in ms."""
    return EdgeTiming(name or f"{source}>{target}", source, target, expected_delay=round(expected * MS), **options)


def system(*parts: NodeTiming | EdgeTiming, supervisor: str) -> SystemTiming:
    nodes = tuple(part for part in parts if isinstance(part, NodeTiming))
    return SystemTiming(nodes, tuple(part for part in parts if isinstance(part, EdgeTiming)), supervisor)


class Given:
    """Delays in ms by node or edge name: a number, or a list of which the last goes on; 0 if not named."""

    def __init__(self, delays: dict[str, float | list[float]], episodes: int = 1):
        self.delays, self.episodes = delays, episodes

    def __call__(self, kind: str, name: str, ticks: int) -> np.ndarray:
        given = np.atleast_1d(self.delays.get(name, 0))
        row = given[np.minimum(np.arange(ticks), len(given) - 1)]
        return np.tile(np.rint(row * MS).astype(np.int64), (self.episodes, 1))


def run(spec: SystemTiming, steps: int = 3, **delays: float | list[float]) -> Timeline:
    """One episode with the given delays in ms; write `a__b` for edge `a>b`."""
    return simulate(
        spec, Given({key.replace("__", ">"): value for key, value in delays.items()}), episodes=1, steps=steps
    )


def starts(timeline: Timeline, name: str) -> list[float]:
    """Starts in ms."""
    steps = timeline.steps[name]
    return (steps.start[0, : steps.count[0]] / MS).tolist()


def arrivals(timeline: Timeline, name: str) -> list[float]:
    """Arrivals in ms."""
    source = timeline.spec.edge(name).source
    return (timeline.messages[name].arrive[0, : timeline.steps[source].count[0]] / MS).tolist()


def readers(timeline: Timeline, name: str) -> list[int]:
    source = timeline.spec.edge(name).source
    return timeline.messages[name].reader[0, : timeline.steps[source].count[0]].tolist()


def windows(timeline: Timeline, name: str) -> list[list[int]]:
    """What each tick of the target sees, oldest first, -1 for the initial output."""
    spec = timeline.spec.edge(name)
    count = timeline.steps[spec.target].count[0]
    newest = timeline.newest(spec)[0, :count].tolist()
    return [[max(-1, last - spec.window + 1 + place) for place in range(spec.window)] for last in newest]
