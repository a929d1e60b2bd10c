"""Measures how punctual a node is: one value per step while it runs, and a summary for the user."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rexcli.runs.recording.series import Series


@dataclass(frozen=True)
class Punctuality:
    """Statistics of how punctual a node was.

    Attributes:
        node: its name.
        ticks: steps made.
        rate: steps per second achieved, Hz.
        declared: steps per second asked for, Hz.
        late_p50, late_p99, late_max: from when a step was due until it started, s.
        missed: number of scheduled ticks that have not started.
        busy: seconds of computation per second.
        age_p50, age_max: age at the start of a step of the newest message of the input whose newest message is the
            oldest, s; NaN without inputs.
    """

    node: str
    ticks: int
    rate: float
    declared: float
    late_p50: float
    late_p99: float
    late_max: float
    missed: int
    busy: float
    age_p50: float
    age_max: float


class LatencyStatistics:
    """The lateness of each step of a node, over all episodes. One thread adds; other threads may call `summary`.

    Args:
        node: its name.
        rate: declared, Hz.
        folder: the folder of the file to which older values are moved, so that memory stays constant, see `Series`.
    """

    def __init__(self, node: str, rate: float, folder: Path | None = None):
        self.node = node
        self.declared = rate
        self.late = Series(folder)
        self.age = Series(folder)
        self.busy = 0
        self.missed = 0
        self._span = 0
        self._intervals = 0

    def add(self, late: int, age: int | None) -> None:
        """Adds a step that started `late` ns after it was due; its oldest input is `age` ns old."""
        self.late.add(late)
        if age is not None:
            self.age.add(age)

    def move(self) -> None:
        """Moves older values out of memory."""
        self.late.move()
        self.age.move()

    def end_episode(self, first: int, last: int, ticks: int, missed: int) -> None:
        """Adds an episode: its first and last start, ns, its number of ticks, and the number of missed ticks."""
        self._span += last - first
        self._intervals += max(0, ticks - 1)
        self.missed += missed

    def summary(self, *, recent: bool = False, span: int = 0, intervals: int = 0, missed: int = 0) -> Punctuality:
        """Returns the statistics of all ticks, or the most recent; `span`, `intervals` and `missed` add the running
        episode.
        """
        late, age = ((times.newest() if recent else times.all()) / 1e9 for times in (self.late, self.age))
        nan = float("nan")
        p50, p99, most = (np.percentile(late, [50, 99, 100]).tolist()) if len(late) else (nan, nan, nan)
        age_p50, age_max = (np.percentile(age, [50, 100]).tolist()) if len(age) else (nan, nan)
        span, intervals = self._span + span, self._intervals + intervals
        return Punctuality(
            node=self.node,
            ticks=len(self.late),
            rate=intervals / span * 1e9 if span else nan,
            declared=self.declared,
            late_p50=p50,
            late_p99=p99,
            late_max=most,
            missed=self.missed + missed,
            busy=self.busy / span if span else nan,
            age_p50=age_p50,
            age_max=age_max,
        )
