"""How large a timeline will be, before it is made."""

from __future__ import annotations

from dataclasses import dataclass

from rexcli.timeline.phases import phases
from rexcli.timeline.simulate import first_horizon
from rexcli.timeline.spec import NANOSECONDS, SystemTiming

BYTES = 48
"""Of memory that a tick or a message takes while a timeline is simulated: three times, and room to work."""


@dataclass(frozen=True)
class Extent:
    """About what a timeline takes.

    Attributes:
        phase: seconds before the supervisor begins.
        length: of an episode, seconds.
        horizon: seconds for which schedules are looked at.
        size: bytes, while it is simulated.
    """

    phase: float
    length: float
    horizon: float
    size: float


def extent(spec: SystemTiming, *, episodes: int, steps: int | None = None, seconds: float | None = None) -> Extent:
    """The extent of episodes of `steps` supervisor steps or of `seconds`."""
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
