"""The rules of time one number at a time, as they are written down: slow, and easy to believe."""

from __future__ import annotations

from functools import cache
from itertools import count
from types import SimpleNamespace

from rexcli.timeline.spec import NEVER, EdgeTiming, SystemTiming


def rules(spec: SystemTiming, delay, lost=lambda edge, message: False) -> SimpleNamespace:
    """The functions of the rules for one episode.

    `delay(kind, name, tick)` gives sampled delays, ns; `lost(edge, message)` says which messages an edge loses.
    """

    @cache
    def phase(n: str) -> int:
        ends = [out_phase(e.source) + e.expected_delay for e in spec.inputs(n) if not e.skip]
        return max([0, *ends])

    def out_phase(n: str) -> int:
        return phase(n) + spec.node(n).expected_delay

    def scheduled(n: str, k: int) -> int:
        return round(k * 1e9 / spec.node(n).rate) + phase(n)

    @cache
    def c(e: EdgeTiming, k: int) -> int:
        due = scheduled(e.target, k)
        required = (lambda time: time < due) if e.skip else (lambda time: time <= due)
        return next(i for i in count() if not required(scheduled(e.source, i)))

    def needed(n: str, k: int) -> int:
        required = [(e, i) for e in spec.inputs(n) if e.blocking for i in range(c(e, k))]
        return max([0, *(alone(e, i) if lost(e.name, i) else arrive(e, i) for e, i in required)])

    def last(n: str, k: int) -> int:
        return end(n, k - 1) if k else 0

    @cache
    def shift(n: str, k: int) -> int:
        if k == 0 or spec.node(n).scheduling == "phase":
            return 0
        return max(shift(n, k - 1), last(n, k - 1) - scheduled(n, k - 1))

    @cache
    def start(n: str, k: int) -> int:
        if spec.node(n).advance and all(e.blocking for e in spec.inputs(n)):
            return max(needed(n, k), last(n, k))
        lags = [needed(n, k) - scheduled(n, k), last(n, k) - scheduled(n, k), shift(n, k)]
        return scheduled(n, k) + max(lags)

    @cache
    def end(n: str, k: int) -> int:
        return start(n, k) + max(0, delay("node", n, k))

    def alone(e: EdgeTiming, i: int) -> int:
        """When message i would be there if it were the only one."""
        return end(e.source, i) + max(0, delay("edge", e.name, i))

    @cache
    def arrive(e: EdgeTiming, i: int) -> int:
        if lost(e.name, i):
            return NEVER
        before = [] if e.reorder else [j for j in range(i) if not lost(e.name, j)]
        return max(alone(e, i), arrive(e, before[-1])) if before else alone(e, i)

    def reader(e: EdgeTiming, i: int, ticks: int) -> int:
        """Among ticks `0 … ticks - 1` of the target, else -1."""
        time = arrive(e, i)
        if lost(e.name, i):
            return -1
        if e.blocking:
            reads = (k for k in range(ticks) if c(e, k) > i)
        elif e.jitter == "buffer":
            expected = scheduled(e.source, i) - phase(e.source) + out_phase(e.source) + e.expected_delay
            reads = (k for k in range(ticks) if max(time, expected) <= start(e.target, k))
        elif e.skip:
            reads = (k for k in range(ticks) if time < start(e.target, k))
        else:
            reads = (k for k in range(ticks) if time <= start(e.target, k))
        return next(reads, -1)

    def window(e: EdgeTiming, k: int, messages: int) -> list[int]:
        """What tick k sees of messages `0 … messages - 1`, oldest first, -1 in the gap."""
        read = [i for i in range(messages) if 0 <= reader(e, i, k + 1) <= k]
        in_turn = e.blocking or e.jitter == "buffer"
        read.sort(key=lambda i: (reader(e, i, k + 1), 0 if in_turn else arrive(e, i), i))
        return ([-1] * e.window + read)[-e.window :]

    return SimpleNamespace(
        phase=phase, scheduled=scheduled, start=start, end=end, arrive=arrive, reader=reader, window=window
    )
