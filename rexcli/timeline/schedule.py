"""Computes what is known before delays are sampled: scheduled times, and the messages that blocking inputs require."""

from __future__ import annotations

import numpy as np

from rexcli.timeline.phases import phases
from rexcli.timeline.spec import NANOSECONDS, EdgeTiming, SystemTiming
from rexcli.timeline.timeline import Times


def scheduled(rate: float, phase: int, ticks: int) -> Times:
    """Returns `k / rate + phase`, rounded to ns, for ticks `0 … ticks - 1`, `[ticks]`."""
    return np.rint(np.arange(ticks) * float(NANOSECONDS) / rate).astype(np.int64) + phase


def period(rate: float) -> int:
    """Returns the time between two ticks, rounded to ns."""
    return round(NANOSECONDS / rate)


class Schedule:
    """All ticks that are scheduled no later than a horizon.

    It is closed: the messages that its ticks require of blocking inputs are sent by ticks inside it.

    Attributes:
        spec: the system.
        phase: phases, ns, by node.
        times: scheduled times, ns, `[ticks]`, by node.
    """

    def __init__(self, spec: SystemTiming, horizon: int):
        self.spec = spec
        self.phase = phases(spec)
        self.times: dict[str, Times] = {}
        for node in spec.nodes:
            phase = self.phase[node.name]
            generous = max(0, int((horizon - phase) * node.rate / NANOSECONDS) + 2)
            times = scheduled(node.rate, phase, generous)
            self.times[node.name] = times[: np.searchsorted(times, horizon, side="right")]

    def required(self, edge: EdgeTiming) -> Times:
        """Returns how many messages of a blocking edge must have arrived for each tick of its target, `[target ticks]`.

        These are the messages scheduled no later than the tick, or with `skip` before it. Tick k reads messages
        `required[k - 1] … required[k] - 1`.
        """
        times = self.times[edge.target]
        return np.searchsorted(self.times[edge.source], times, side="left" if edge.skip else "right")

    def expected_arrival(self, edge: EdgeTiming, messages: int) -> Times:
        """Returns when messages `0 … messages - 1` arrive if all delays are the expected ones, ns, `[messages]`."""
        source = self.spec.node(edge.source)
        times = scheduled(source.rate, self.phase[edge.source], messages)
        return times + source.expected_delay + edge.expected_delay
