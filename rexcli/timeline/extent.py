"""Estimates the length and the memory of a timeline before it is simulated."""

from __future__ import annotations

from dataclasses import dataclass

from rexcli.timeline.phases import phases
from rexcli.timeline.simulate import first_horizon
from rexcli.timeline.spec import NANOSECONDS, SystemTiming

BYTES = 48
"""Bytes of memory that a tick or a message takes during simulation: three times (int64), and temporary arrays."""


@dataclass(frozen=True)
class Extent:
    """The approximate size of a timeline.

    Attributes:
        phase: seconds before the supervisor's first tick is scheduled.
        length: seconds of an episode.
        horizon: seconds for which the scheduled ticks are computed.
        size: bytes of memory that its simulation takes.
    """

    phase: float
    length: float
    horizon: float
    size: float


def extent(spec: SystemTiming, *, episodes: int, steps: int | None = None, seconds: float | None = None) -> Extent:
    """Returns the extent of episodes of `steps` supervisor steps or of `seconds`."""
    phase = phases(spec)[spec.supervisor] / NANOSECONDS
    waited_for = {spec.supervisor}
    while more := {edge.source for edge in spec.edges if edge.blocking and edge.target in waited_for} - waited_for:
        waited_for |= more
    slowest = max(spec.node(name).expected_delay for name in waited_for) / NANOSECONDS
    step = max(1 / spec.node(spec.supervisor).rate, slowest)
    length = phase + (steps or 0) * step if seconds is None else seconds
    horizon = length if steps is None else max(length, first_horizon(spec, steps) / NANOSECONDS)
    ticks = {node.name: horizon * node.rate + 1 for node in spec.nodes}
    total = sum(ticks.values()) + sum(ticks[edge.source] for edge in spec.edges)
    return Extent(phase, length, horizon, float(BYTES) * episodes * total)
