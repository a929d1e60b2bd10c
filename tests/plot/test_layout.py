"""Laws of the layered layout, over random graphs with loops, self loops and parallel edges."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.plot.layout import layered


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], list[tuple[str, str]], list[bool]]:
    names = [f"n{index}" for index in range(draw(st.integers(1, 10)))]
    edges = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=18))
    return names, edges, draw(st.lists(st.booleans(), min_size=len(edges), max_size=len(edges)))


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_edges_follow_the_layers_and_nodes_keep_their_distance(graph) -> None:
    names, edges, against = graph
    layout = layered(names, edges, against)
    assert set(layout.place) == set(names)
    for (source, target), back, points in zip(edges, layout.back, layout.waypoints, strict=True):
        start, end = layout.place[source][0], layout.place[target][0]
        assert (end < start) == back if source != target else not back
        step = -1 if back else 1
        assert [layer for layer, _ in points] == list(range(start + step, end, step) if source != target else [])
    for (layer, first), (other, second) in itertools.combinations(layout.place.values(), 2):
        assert layer != other or abs(first - second) >= 1 - 1e-9
    waypoints = [point for points in layout.waypoints for point in points]
    for (layer, first), (other, second) in itertools.product(layout.place.values(), waypoints):
        assert layer != other or abs(first - second) >= 0.8 - 1e-9


@given(graphs())
@settings(max_examples=20, deadline=None)
def test_what_can_point_forward_does(graph) -> None:
    """Without `against`, an edge of a graph that has no loop never points back."""
    names, edges, _ = graph
    forward = [(source, target) for source, target in edges if source < target]
    assert not any(layered(names, forward).back)


def test_the_pendulums_loop_is_closed_by_the_edge_with_skip() -> None:
    nodes = ["world", "sensor", "actuator", "agent"]
    edges = [("actuator", "world"), ("world", "sensor"), ("sensor", "agent"), ("agent", "actuator")]
    layout = layered(nodes, edges, [True, False, False, False])
    assert layout.back == (True, False, False, False)
    assert [layout.place[name][0] for name in ("world", "sensor", "agent", "actuator")] == [0, 1, 2, 3]
    across = [layout.place[name][1] for name in nodes]
    assert max(across) - min(across) < 0.01, "a chain of nodes is drawn straight"
