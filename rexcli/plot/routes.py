"""Routes the edges of a laid-out graph as curves around boxes and beside one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rexcli.plot.layout import Layout

ALONG, ASIDE = np.asarray([1.0, 0.0]), np.asarray([0.0, 1.0])


@dataclass(frozen=True)
class Stop:
    """A point that a curve passes in a given direction, straight for `reach` inches before and after it."""

    point: np.ndarray
    direction: np.ndarray
    reach: float = 0.0


@dataclass(frozen=True)
class Routes:
    """Geometry of a layout in inches, as (along, across) the flow.

    Attributes:
        layout: the places of nodes and waypoints.
        edges: `(source, target)` of each edge.
        pitch: distance from one layer to the next, and from one place in a layer to the next.
        half: half the size of a box.
        lane: distance of edges between the same two nodes, so that their labels have room.
    """

    layout: Layout
    edges: tuple[tuple[str, str], ...]
    pitch: tuple[float, float]
    half: tuple[float, float]
    lane: float

    def centres(self) -> dict[str, tuple[float, float]]:
        """Returns the centre of each node's box."""
        return {name: (at[0] * self.pitch[0], at[1] * self.pitch[1]) for name, at in self.layout.place.items()}

    def path(self, index: int) -> np.ndarray:
        """Returns points `[n, 2]` along edge `index`, from its source's box to its target's."""
        source, target = self.edges[index]
        if source == target:
            return self._loop(index)
        return self._against(index) if self.layout.back[index] else self._along(index)

    def _at(self, place: tuple[float, float]) -> np.ndarray:
        return np.asarray([place[0] * self.pitch[0], place[1] * self.pitch[1]])

    def _twins(self, index: int) -> list[int]:
        return [other for other, ends in enumerate(self.edges) if ends == self.edges[index]]

    def _loop(self, index: int) -> np.ndarray:
        """Returns a curve that leaves a side of a box and comes back into it; its label has room beside the box."""
        centre = self._at(self.layout.place[self.edges[index][0]]) - self.half[1] * ASIDE
        reach = (max(0.45, 0.2 + 0.67 * self.lane) + 1.34 * self.lane * self._twins(index).index(index)) * ASIDE
        left, right = centre - 0.22 * ALONG, centre + 0.22 * ALONG
        return _cubic(right, right - reach, left - reach, left)

    def _along(self, index: int) -> np.ndarray:
        """Returns a curve along the flow: out of the far side of the box, through the waypoints, into the near side."""
        source, target = (self._at(self.layout.place[name]) for name in self.edges[index])
        start = source + self.half[0] * ALONG + self._port(index, outgoing=True) * ASIDE
        end = target - self.half[0] * ALONG + self._port(index, outgoing=False) * ASIDE
        inner = [Stop(self._at(point), ALONG, self.half[0]) for point in self.layout.waypoints[index]]
        twins = self._twins(index)
        if not inner and len(twins) > 1:
            lane = (twins.index(index) - (len(twins) - 1) / 2) * self.lane
            inner = [Stop((source + target) / 2 + lane * ASIDE, ALONG, 0.15)]
        return _spline([Stop(start, ALONG), *inner, Stop(end, ALONG)])

    def _against(self, index: int) -> np.ndarray:
        """Returns a curve against the flow: out of a side of the box, and into the same side of the other."""
        source, target = (self._at(self.layout.place[name]) for name in self.edges[index])
        inner = [self._at(point) for point in self.layout.waypoints[index]]
        beside = not inner or np.mean([point[1] for point in inner]) >= (source[1] + target[1]) / 2
        side = (1.0 if beside else -1.0) * ASIDE
        twins = self._twins(index)
        order = twins.index(index)
        offset = 0.16 * (order - (len(twins) - 1) / 2) * ALONG
        start, end = source + self.half[1] * side + offset, target + self.half[1] * side - offset
        if not inner:
            depth = (0.67 + 1.34 * self.lane * order) * side
            return _cubic(start, start + depth, end + depth, end)
        through = [Stop(point, -ALONG, self.half[0]) for point in inner]
        return _spline([Stop(start, side), *through, Stop(end, -side)])

    def _port(self, index: int, *, outgoing: bool) -> float:
        """Returns where an edge docks on its side of a box: evenly spread, in the order in which edges come or go."""
        end, other = (0, 1) if outgoing else (1, 0)
        name = self.edges[index][end]

        def comes_from(i: int) -> tuple[float, int]:
            points = self.layout.waypoints[i]
            far = self.layout.place[self.edges[i][other]]
            return ((points[0 if outgoing else -1] if points else far)[1], i)

        docked = sorted(
            (
                i
                for i, ends in enumerate(self.edges)
                if ends[end] == name and ends[0] != ends[1] and not self.layout.back[i]
            ),
            key=comes_from,
        )
        share = (docked.index(index) + 1) / (len(docked) + 1)
        return (2 * share - 1) * self.half[1] * 0.9


def _spline(stops: Sequence[Stop]) -> np.ndarray:
    """Returns cubic curves from stop to stop, `[n, 2]`."""
    pieces = []
    for first, second in pairwise(stops):
        start = first.point + first.reach * first.direction
        end = second.point - second.reach * second.direction
        pull = 0.45 * float(np.abs(end - start).max())
        pieces.append(_cubic(start, start + pull * first.direction, end - pull * second.direction, end))
    return np.concatenate(pieces)


def _cubic(*control: np.ndarray) -> np.ndarray:
    """Returns points `[25, 2]` on the Bézier curve with four control points."""
    t = np.linspace(0, 1, 25)[:, None]
    a, b, c, d = control
    return (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
