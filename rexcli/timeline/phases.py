"""Computes the order of nodes and their phases, which are static, and refuses systems that cannot be scheduled.

A blocking edge makes tick k wait only for source ticks that are *scheduled* no later than tick k itself (with `skip`:
strictly earlier). If every loop has an edge with `skip`, no tick waits for a later one in the order by (scheduled time,
index in `topological`), so a system that passes `check` cannot deadlock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Any

from rexcli.errors import DeclarationError, suggest
from rexcli.timeline.spec import (
    NANOSECONDS,
    Jitter,
    NodeTiming,
    Scheduling,
    SystemTiming,
    wrong_choice,
    wrong_delay,
    wrong_loss,
    wrong_rate,
    wrong_window,
)


def topological(spec: SystemTiming) -> list[str]:
    """Returns the node names, every source before its targets along edges without `skip`, otherwise as declared.

    Raises:
        DeclarationError: if edges without `skip` form a loop, whose nodes then have no phase; the message names the
            loop.
    """
    sources: dict[str, list[str]] = {node.name: [] for node in spec.nodes}
    for edge in spec.edges:
        if not edge.skip:
            sources[edge.target].append(edge.source)
    place = {node.name: index for index, node in enumerate(spec.nodes)}
    sorter = TopologicalSorter(sources)
    try:
        sorter.prepare()
    except CycleError as error:
        raise _loop_error(spec, error.args[1], place) from None
    names: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=place.__getitem__)
        names += ready
        sorter.done(*ready)
    return names


def phases(spec: SystemTiming) -> dict[str, int]:
    """Returns when each node's tick 0 is scheduled, ns: when its inputs are expected to have arrived.

    Raises:
        DeclarationError: if edges without `skip` form a loop.
    """
    phase: dict[str, int] = {}
    for name in topological(spec):
        expected = (
            phase[edge.source] + spec.node(edge.source).expected_delay + edge.expected_delay
            for edge in spec.inputs(name)
            if not edge.skip
        )
        phase[name] = max(0, 0, *expected)
    return phase


def advances(spec: SystemTiming, node: NodeTiming) -> bool:
    """Returns whether a node starts as soon as its inputs have arrived: it has `advance`, and all its inputs block."""
    return node.advance and all(edge.blocking for edge in spec.inputs(node.name))


def check(spec: SystemTiming, *, recorded: Iterable[str] = ()) -> None:
    """Raises an error if a system has no timeline.

    Args:
        spec: the system.
        recorded: nodes whose times are known already, so that `advance` without blocking inputs is allowed for them.

    Raises:
        DeclarationError: names the key that is wrong, its value and the fix.
    """
    check_keys(spec.nodes, spec.edges, spec.supervisor, NANOSECONDS)
    for edge in spec.edges:
        if fix := wrong_loss(edge.loss):
            raise DeclarationError(f"edges.{edge.name}.loss", edge.loss, fix)
    topological(spec)
    known = set(recorded)
    for node in spec.nodes:
        blocked = any(edge.blocking for edge in spec.inputs(node.name))
        if node.advance and not blocked and node.name not in known:
            raise DeclarationError(
                f"nodes.{node.name}.advance",
                node.advance,
                "without a blocking input it would run infinitely fast; set blocking: true on its inputs, or "
                "advance: false",
            )


def check_keys(nodes: Collection[Any], edges: Collection[Any], supervisor: str, second: float = 1.0) -> None:
    """Raises an error for duplicate or unknown names, and for invalid values of nodes and edges.

    Args:
        nodes: each with the attributes of a `NodeTiming`.
        edges: each with the attributes of an `EdgeTiming`.
        supervisor: a node's name.
        second: units of expected delays per second; an expected delay may be None.

    Raises:
        DeclarationError: names the key that is wrong, its value and the fix.
    """
    for section, parts in (("nodes", nodes), ("edges", edges)):
        name, times = Counter(part.name for part in parts).most_common(1)[0] if parts else ("", 0)
        if times > 1:
            message = f"{section}.{name} is declared {times} times; give each of the {section} a name of its own"
            raise DeclarationError(f"{section}.{name}", message=message)
    ends = ((f"edges.{e.name}.{end}", name) for e in edges for end, name in (("from", e.source), ("to", e.target)))
    check_names([node.name for node in nodes], [("supervisor", supervisor), *ends])
    for key, value, fix in _values(nodes, edges, second):
        if fix:
            raise DeclarationError(key, value, fix)


def check_names(nodes: list[str], named: Iterable[tuple[str, str]]) -> None:
    """Raises an error for names, given as (key, name), that are not among `nodes`.

    Raises:
        DeclarationError: names the key and the most similar node name.
    """
    for key, name in named:
        if name not in nodes:
            raise DeclarationError(key, name, f"no node is called '{name}'{suggest(name, nodes)}")


def _values(nodes: Iterable[Any], edges: Iterable[Any], second: float) -> Iterator[tuple[str, object, str | None]]:
    """Yields each key with its value and, if that is invalid, what to give instead."""
    for node in nodes:
        yield f"nodes.{node.name}.rate", node.rate, wrong_rate(node.rate)
        yield f"nodes.{node.name}.scheduling", node.scheduling, wrong_choice(node.scheduling, Scheduling)
    for edge in edges:
        yield f"edges.{edge.name}.window", edge.window, wrong_window(edge.window)
        yield f"edges.{edge.name}.jitter", edge.jitter, wrong_choice(edge.jitter, Jitter)
    for section, parts in (("nodes", nodes), ("edges", edges)):
        for part in parts:
            if part.expected_delay is not None:
                seconds = part.expected_delay / second
                yield f"{section}.{part.name}.expected_delay", seconds, wrong_delay(seconds)


def _loop_error(spec: SystemTiming, cycle: list[str], place: dict[str, int]) -> DeclarationError:
    """Returns an error that names the loop from its first declared node on, so that the message is always the same."""
    loop = cycle[:-1]
    first = loop.index(min(loop, key=place.__getitem__))
    loop = [*loop[first:], *loop[: first + 1]]
    pairs = set(pairwise(loop))
    skips = tuple(f"edges.{edge.name}.skip" for edge in spec.edges if (edge.source, edge.target) in pairs)
    return DeclarationError(skips, message=f"loop without skip: {' -> '.join(loop)}; set skip: true on one edge of it")
