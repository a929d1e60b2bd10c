"""The static part of time: the order of nodes, their phases, and the systems that no clock could run.

A blocking edge makes tick k wait only for source ticks that are *scheduled* no later than tick k itself (with
`skip`: strictly earlier). Once every loop has an edge with `skip`, nothing waits for what comes after it in
the order by (scheduled time, place in `topological`): a system that passes `check` cannot deadlock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from rexcli.errors import RexError, suggest
from rexcli.timeline.spec import NANOSECONDS, NodeTiming, SystemTiming, wrong_rate


def topological(spec: SystemTiming) -> list[str]:
    """Node names, every source before its targets along edges without `skip`; otherwise as declared.

    Raises:
        RexError: if edges without `skip` form a loop, which then has no phase; the loop is named.
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
        raise RexError(_loop_message(error.args[1], place)) from None
    names: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=place.__getitem__)
        names += ready
        sorter.done(*ready)
    return names


def phases(spec: SystemTiming) -> dict[str, int]:
    """When each node's tick 0 is scheduled, ns: once what it reads is expected to be there.

    Raises:
        RexError: if edges without `skip` form a loop.
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
    """Whether a node starts as soon as its inputs are there: if it may and all its inputs block."""
    return node.advance and all(edge.blocking for edge in spec.inputs(node.name))


def check(spec: SystemTiming, *, recorded: Iterable[str] = ()) -> None:
    """Refuses a system that has no timeline.

    Args:
        spec: the system.
        recorded: nodes whose times are known already, so that they need no rule to run by.

    Raises:
        RexError: names what is wrong, its value and the fix.
    """
    _check_names(spec)
    for node in spec.nodes:
        where = f"node '{node.name}'"
        if fix := wrong_rate(node.rate):
            raise RexError(f"{where}: rate {node.rate:g}: {fix}")
        if node.scheduling not in ("frequency", "phase"):
            raise RexError(f"{where}: scheduling '{node.scheduling}': give 'frequency' or 'phase'")
        _check_expected(where, node.expected_delay)
    for edge in spec.edges:
        where = f"edge '{edge.name}'"
        if edge.window < 1:
            raise RexError(f"{where}: window {edge.window}: give 1 or more messages")
        if edge.jitter not in ("latest", "buffer"):
            raise RexError(f"{where}: jitter '{edge.jitter}': give 'latest' or 'buffer'")
        _check_expected(where, edge.expected_delay)
    topological(spec)
    known = set(recorded)
    for node in spec.nodes:
        blocked = any(edge.blocking for edge in spec.inputs(node.name))
        if node.advance and not blocked and node.name not in known:
            raise RexError(
                f"node '{node.name}': advance: true without a blocking input would run infinitely fast; "
                "set blocking: true on its inputs, or advance: false"
            )


def _check_names(spec: SystemTiming) -> None:
    nodes = [node.name for node in spec.nodes]
    for what, names in (("node", nodes), ("edge", [edge.name for edge in spec.edges])):
        name, times = Counter(names).most_common(1)[0] if names else ("", 0)
        if times > 1:
            raise RexError(f"{what} '{name}' is declared {times} times; give each {what} a name of its own")
    for edge in spec.edges:
        for end, name in (("from", edge.source), ("to", edge.target)):
            if name not in nodes:
                raise RexError(f"edge '{edge.name}': {end}: no node is called '{name}'{suggest(name, nodes)}")
    if spec.supervisor not in nodes:
        raise RexError(f"supervisor: no node is called '{spec.supervisor}'{suggest(spec.supervisor, nodes)}")


def _check_expected(where: str, expected: int) -> None:
    if expected < 0:
        raise RexError(f"{where}: expected_delay {expected / NANOSECONDS:g} s: give 0 or more")


def _loop_message(cycle: list[str], place: dict[str, int]) -> str:
    """Starts the loop at the node declared first, so that the message is the same however it was found."""
    loop = cycle[:-1]
    first = loop.index(min(loop, key=place.__getitem__))
    loop = [*loop[first:], *loop[: first + 1]]
    return f"loop without skip: {' -> '.join(loop)}; set skip: true on one edge of it"
