"""Places the nodes of a graph in layers, so that most edges point one way.

The layered method of Sugiyama, Tagawa and Toda (1981): break cycles, assign layers by longest path, thread long edges
through their layers with waypoints, order each layer by its neighbours' barycentres, then straighten.

No library fits. grandalf, the only one in pure Python, was tried: it bends a plain chain of nodes at both ends, places
sixteen tangled nodes less compactly, and leaves most of the routing to its user. igraph is a C library under the GPL,
Graphviz and ELK are programs beside Python, and networkx's multipartite layout neither orders layers nor threads long
edges through them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import pairwise

import numpy as np

SWEEPS = 24


@dataclass(frozen=True)
class Layout:
    """Positions of nodes, in units of one node: `layer` counts along the flow from 0, `across` is the place beside it.

    Attributes:
        place: `(layer, across)` by node.
        waypoints: `(layer, across)` points that edge i passes through between its ends, from source to target.
        back: whether edge i points against the flow.
    """

    place: dict[str, tuple[int, float]]
    waypoints: tuple[tuple[tuple[int, float], ...], ...]
    back: tuple[bool, ...]

    @property
    def num_layers(self) -> int:
        return 1 + max((layer for layer, _ in self.place.values()), default=0)

    @property
    def breadth(self) -> tuple[float, float]:
        """The least and the greatest `across`, including waypoints."""
        all_across = [across for _, across in self.place.values()]
        all_across += [across for points in self.waypoints for _, across in points]
        return min(all_across, default=0.0), max(all_across, default=0.0)


def layered(nodes: Sequence[str], edges: Sequence[tuple[str, str]], against: Sequence[bool] | None = None) -> Layout:
    """Lays out a graph.

    Args:
        nodes: names; earlier ones come first where the edges leave a choice.
        edges: `(source, target)`; self loops and several between the same two are fine.
        against: whether an edge should point back, such as those with `skip`; others point back only to break a cycle.
    """
    against = [False] * len(edges) if against is None else list(against)
    back = _back_edges(nodes, edges, against)
    layer = _layers(nodes, edges, back)
    columns, chains = _threads(nodes, edges, layer)
    order = _ordered(columns, chains)
    across = _straightened(order, chains)
    waypoints = []
    for (source, target), chain in zip(edges, chains, strict=True):
        inner = chain[1:-1] if chain[:1] != [target] or source == target else chain[1:-1][::-1]
        waypoints.append(tuple((_layer_of(item, layer), across[item]) for item in inner))
    return Layout({name: (layer[name], across[name]) for name in nodes}, tuple(waypoints), tuple(back))


def _layer_of(item: Hashable, layer: dict[str, int]) -> int:
    return item[2] if isinstance(item, tuple) else layer[str(item)]


def _back_edges(nodes: Sequence[str], edges: Sequence[tuple[str, str]], against: Sequence[bool]) -> list[bool]:
    """Returns which edges point back: edges are added one by one, and one that closes a loop points back."""
    after: dict[str, list[str]] = {name: [] for name in nodes}
    back = [False] * len(edges)
    for index in sorted(range(len(edges)), key=lambda index: against[index]):
        source, target = edges[index]
        if source == target:
            continue
        back[index] = source in _reached(after, target)
        if not back[index]:
            after[source].append(target)
    return back


def _reached(after: Mapping[str, Sequence[str]], begin: str) -> set[str]:
    """Returns a node and all nodes that can be reached from it."""
    found, left = {begin}, [begin]
    while left:
        new = set(after[left.pop()]) - found
        found |= new
        left += new
    return found


def _layers(nodes: Sequence[str], edges: Sequence[tuple[str, str]], back: Sequence[bool]) -> dict[str, int]:
    before: dict[str, list[str]] = {name: [] for name in nodes}
    after: dict[str, list[str]] = {name: [] for name in nodes}
    for (source, target), is_back in zip(edges, back, strict=True):
        if not is_back and source != target:
            before[target].append(source)
            after[source].append(target)
    layer: dict[str, int] = {}
    for name in TopologicalSorter(before).static_order():
        layer[name] = 1 + max((layer[other] for other in before[name]), default=-1)
    for name in nodes:
        if after[name] and not before[name]:
            layer[name] = min(layer[other] for other in after[name]) - 1
    return layer


def _threads(
    nodes: Sequence[str], edges: Sequence[tuple[str, str]], layer: dict[str, int]
) -> tuple[list[list[Hashable]], list[list[Hashable]]]:
    """Returns layers with the waypoints of long edges, and each edge as a chain from its lower layer to its higher."""
    columns: list[list[Hashable]] = [[] for _ in range(1 + max(layer.values(), default=0))]
    for name in nodes:
        columns[layer[name]].append(name)
    chains: list[list[Hashable]] = []
    for index, (source, target) in enumerate(edges):
        low, high = sorted((source, target), key=lambda name: layer[name])
        inner: list[Hashable] = [("via", index, at) for at in range(layer[low] + 1, layer[high])]
        for item in inner:
            columns[item[2]].append(item)  # type: ignore[index]
        chains.append([low, *inner, high])
    return columns, chains


def _neighbours(chains: list[list[Hashable]]) -> dict[Hashable, list[Hashable]]:
    neighbours: dict[Hashable, list[Hashable]] = {}
    for chain in chains:
        for first, second in pairwise(chain):
            neighbours.setdefault(first, []).append(second)
            neighbours.setdefault(second, []).append(first)
    return neighbours


def _ordered(columns: list[list[Hashable]], chains: list[list[Hashable]]) -> list[list[Hashable]]:
    """Sorts each layer by the mean place of its neighbours, in alternating sweeps, and returns the best order."""
    neighbours = _neighbours(chains)
    best, fewest = [list(column) for column in columns], _crossings(columns, chains)
    current = [list(column) for column in columns]
    for sweep in range(SWEEPS):
        if fewest == 0:
            break
        for column in current if sweep % 2 == 0 else reversed(current):
            place = {item: index - len(other) / 2 for other in current for index, item in enumerate(other)}
            mean = {item: np.mean([place[other] for other in neighbours.get(item, [item])]) for item in column}
            column.sort(key=lambda item: mean[item])
        crossings = _crossings(current, chains)
        if crossings < fewest:
            best, fewest = [list(column) for column in current], crossings
    return best


def _crossings(columns: list[list[Hashable]], chains: list[list[Hashable]]) -> int:
    place = {item: (at, index) for at, column in enumerate(columns) for index, item in enumerate(column)}
    between: dict[int, list[tuple[int, int]]] = {}
    for chain in chains:
        for first, second in pairwise(chain):
            if place[first][0] != place[second][0]:
                between.setdefault(place[first][0], []).append((place[first][1], place[second][1]))
    total = 0
    for pairs in between.values():
        ends = np.asarray(pairs)
        left = np.sign(ends[:, None, 0] - ends[None, :, 0])
        right = np.sign(ends[:, None, 1] - ends[None, :, 1])
        total += int((left * right < 0).sum()) // 2
    return total


def _straightened(columns: list[list[Hashable]], chains: list[list[Hashable]]) -> dict[Hashable, float]:
    """Returns places in each layer near their neighbours, 1 apart (less for waypoints) and in the same order."""
    across: dict[Hashable, float] = {}
    for column in columns:
        at = 0.0
        for index, item in enumerate(column):
            at += _gap(column[index - 1], item) if index else 0.0
            across[item] = at
        nodes = [across[item] for item in column if not isinstance(item, tuple)]
        middle = float(np.mean(nodes or [at / 2]))
        for item in column:
            across[item] -= middle
    neighbours = _neighbours(chains)
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wanted = [_pull(item, across, neighbours.get(item, [])) for item in column]
            gaps = [0.0] + [_gap(first, second) for first, second in pairwise(column)]
            weights = [1.0 if isinstance(item, tuple) else 1e6 for item in column]
            for item, value in zip(column, _spread(wanted, gaps, weights), strict=True):
                across[item] = value
    return across


def _pull(item: Hashable, across: dict[Hashable, float], neighbours: Sequence[Hashable]) -> float:
    """Returns the place to which its neighbours pull an item.

    A node follows nodes, not waypoints, so that a chain of nodes is straight.
    """
    if not isinstance(item, tuple) and not all(isinstance(other, tuple) for other in neighbours):
        neighbours = [other for other in neighbours if not isinstance(other, tuple)]
    return float(np.mean([across[other] for other in neighbours])) if neighbours else across[item]


def _gap(first: Hashable, second: Hashable) -> float:
    """Returns the gap between two items: a lane for waypoints, a whole place for nodes."""
    inner = isinstance(first, tuple) + isinstance(second, tuple)
    return (1.0, 0.8, 0.4)[inner]


def _spread(wanted: Sequence[float], gaps: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Returns the places nearest to `wanted` in weighted least squares that keep the gaps (pool adjacent violators)."""
    offsets = np.cumsum(gaps)
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(np.asarray(wanted) - offsets, weights, strict=True):
        blocks.append((float(value), weight, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (first, m, n), (second, k, more) = blocks[-2:]
            blocks[-2:] = [((first * m + second * k) / (m + k), m + k, n + more)]
    flat = [value for value, _, count in blocks for _ in range(count)]
    return [float(value + offset) for value, offset in zip(flat, offsets, strict=True)]
