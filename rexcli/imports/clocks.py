"""Estimates the offset between two clocks from the messages between them.

The stamps of a message from one clock to the other differ by the offset plus a delay that is never below 0. So the
offset, a line over time, lies below the differences of messages in one direction and above those in the other, between
the convex hulls of the two. (As in H. Moon, P. Skelly, D. Towsley, "Estimation and Removal of Clock Skew from Network
Delay Measurements", INFOCOM 1999.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError
from rexcli.timeline.timeline import Times

ENOUGH = 10
"""Least number of messages in one direction from which a clock can be estimated."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Clock:
    """What is added to the stamps of a clock: `offset + drift * (stamp - at)`.

    Attributes:
        at: a stamp of the clock, ns.
        offset: the offset at this stamp, ns.
        drift: the change of the offset, ns per ns.
        error: largest error of the offset either way, ns; None if messages went in one direction only, where the
            shortest delay counts as 0.
        messages: number of messages that it was estimated from.
    """

    at: int
    offset: float
    drift: float
    error: float | None = None
    messages: int = 0

    def convert(self, stamps: Times) -> Times:
        """Converts stamps of this clock to those of the reference."""
        return stamps + np.rint(self.offset + self.drift * (stamps - self.at)).astype(np.int64)


def estimate(
    name: str,
    to: tuple[Times, Times],
    back: tuple[Times, Times],
    offset: float | None = None,
    drift: float | None = None,
) -> Clock:
    """Estimates a clock from its messages to the reference, and back.

    Args:
        name: name of the clock, for error messages.
        to: messages from the clock: when they were sent by this clock, and when they arrived by the reference, ns.
        back: messages to the clock: when they arrived by this clock, and when they were sent by the reference, ns.
        offset, drift: offset, s, and drift, s/s, if they are known.

    Raises:
        RexError: there are too few messages.
    """
    at = min((int(own.min()) for own, _ in (to, back) if len(own)), default=0)
    if offset is not None and drift is not None:
        return Clock(at, offset * 1e9, drift)
    most = max(len(to[0]), len(back[0]))
    if most < ENOUGH:
        raise RexError(
            f"import.clocks.{name}: {most} messages between it and the recorder's clock are too few to estimate it: "
            f"{ENOUGH} are needed; give its offset and drift, or leave `clock` out where it is the recorder's"
        )
    lines = []
    for (own, reference), side in ((to, 1.0), (back, -1.0)):
        if len(own) >= ENOUGH:
            lines.append(_support((own - at).astype(np.float64), (reference - own).astype(np.float64), side, drift))
    heights, slopes = zip(*lines, strict=True)
    error = None
    if len(lines) == 2:
        span = max(float(own.max() - at) for own, _ in (to, back))
        gaps = [heights[0] - heights[1] + (slopes[0] - slopes[1]) * time for time in (0.0, span)]
        error = max(0.0, *gaps) / 2
    found = float(np.mean(heights)) if offset is None else offset * 1e9
    return Clock(at, found, float(np.mean(slopes)), error, len(to[0]) + len(back[0]))


def _support(times: Floats, values: Floats, side: float, slope: float | None) -> tuple[float, float]:
    """Returns the height at time 0 and the slope of the closest line below all points (side 1; above, side -1).

    The line is closest on average: it goes along the edge of the convex hull at the mean of the times.
    """
    values = side * values
    base = values.min()
    values = values - base
    if slope is not None:
        return side * float((values - side * slope * times).min() + base), slope
    order = np.lexsort((values, times))
    hull: list[tuple[float, float]] = []
    for point in zip(times[order].tolist(), values[order].tolist(), strict=True):
        if hull and point[0] == hull[-1][0]:
            continue
        while len(hull) > 1 and _turns(hull[-2], hull[-1], point) <= 0:
            hull.pop()
        hull.append(point)
    if len(hull) < 2:
        return side * float(base), 0.0
    middle = float(times.mean())
    place = min(max(int(np.searchsorted([time for time, _ in hull], middle)) - 1, 0), len(hull) - 2)
    (t0, v0), (t1, v1) = hull[place : place + 2]
    tilt = (v1 - v0) / (t1 - t0)
    return side * float(v0 - tilt * t0 + base), side * tilt


def _turns(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
