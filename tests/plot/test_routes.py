"""Edges lead from their source's box to their target's, and those between the same two nodes stay apart."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given, settings

from rexcli.plot.layout import layered
from rexcli.plot.routes import Routes
from tests.plot.test_layout import graphs

HALF = (0.6, 0.3)


def routes(names: list[str], edges: list[tuple[str, str]], against: list[bool]) -> Routes:
    return Routes(layered(names, edges, against), tuple(edges), (3.0, 1.5), HALF, 0.2)


@settings(max_examples=25, deadline=None)
@given(graphs())
def test_every_edge_goes_from_its_sources_border_through_its_waypoints_to_its_targets(graph) -> None:
    laid = routes(*graph)
    centres = laid.centres()
    for index, ends in enumerate(graph[1]):
        path = laid.path(index)
        assert np.isfinite(path).all()
        for name, point in zip(ends, (path[0], path[-1]), strict=True):
            away = np.abs(point - centres[name]) / HALF
            assert away.max() <= 1 + 1e-9
            assert np.isclose(away, 1).any(), "it docks at a side of the box"
        for along, across in [np.multiply(point, laid.pitch) for point in laid.layout.waypoints[index]]:
            (first, last), there = np.sort([path[:-1, 0], path[1:, 0]], axis=0), np.abs(path[:, 1] - across) < 1e-9
            assert (there[:-1] & there[1:] & (first <= along) & (along <= last)).any(), "it passes its waypoints"


def test_edges_between_the_same_two_nodes_stay_apart() -> None:
    twins = [("a", "b")] * 3 + [("b", "a")] * 2 + [("a", "a")] * 2
    laid = routes(["a", "b"], twins, [False] * 3 + [True] * 2 + [False] * 2)
    paths = [laid.path(index) for index in range(len(twins))]
    for (one, first), (two, second) in combinations(enumerate(paths), 2):
        assert np.linalg.norm(first[len(first) // 2] - second[len(second) // 2]) > 0.15, (one, two)
