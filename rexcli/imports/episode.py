"""Reconstructs one episode of a log: what was measured, and what follows from that by the rules of time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rexcli.config.schema import ImportEdge
from rexcli.errors import RexError
from rexcli.imports import lag, mapping
from rexcli.imports.stamps import Log, whole
from rexcli.timeline.spec import NEVER, EdgeTiming, SystemTiming, nanoseconds
from rexcli.timeline.timeline import Times

Declared = Callable[[str], float]
"""A function from `nodes.imu` or `edges.imu_agent` to the median of the delay declared there, s."""


@dataclass
class NodeLog:
    """One node's messages of one episode, ns on the reference clock; `rows` are their rows in the log."""

    rows: Times
    capture: Times | None
    send: Times | None
    number: Times
    start: Times = field(default_factory=lambda: np.zeros(0, np.int64))
    sent: Times = field(default_factory=lambda: np.zeros(0, np.int64))


class Episode:
    """One episode: each node's starts and ends, and each edge's arrivals, ns on the reference clock.

    Attributes:
        nodes: the nodes' messages by name.
        arrive: arrival of each message by edge, `[source ticks]`, `NEVER` for one that was lost.
        inferred: how values without a stamp were found, by keys such as `nodes.imu.start`.
        odd: for each oddity, the number of messages that have it, the number of all, and the largest size, ns.
    """

    def __init__(self, log: Log, spec: SystemTiming, order: list[str], number: int, declared: Declared):
        self.log, self.spec = log, spec
        self.inferred: dict[str, str] = {}
        self.odd: dict[tuple[str, str], tuple[int, int, int]] = {}
        self.arrive: dict[str, Times] = {}
        self._declared = declared
        self.nodes = {name: self._read(name, number) for name in order}
        for name in order:
            self._place(name)
            for edge in spec.outputs(name):
                if edge.name not in self.arrive:
                    self.arrive[edge.name] = self._deliver(edge, number)

    def first(self) -> int:
        """Returns the first instant, ns."""
        return min((int(node.start[0]) for node in self.nodes.values() if len(node.start)), default=0)

    def _read(self, name: str, number: int) -> NodeLog:
        log, node = self.log, self.log.declared.nodes[name]
        key, topic = f"import.nodes.{name}", log.topics[node.topic]
        rows = np.flatnonzero(log.episodes(topic) == number)
        send = node.send or ("log" if node.capture is None else None)
        if send == "log" and node.send is None and topic.log is None:
            raise log.wrong(key, f"{key}.send: is missing: {topic.name} has no log time; name the column of its times")
        stamps = [
            None if path is None else log.converted(topic, path, node.unit, f"{key}.{what}", node.clock)[rows]
            for what, path in (("capture", node.capture), ("send", send))
        ]
        by = next(each for each in stamps if each is not None)
        counted = whole(topic, node.seq)[rows] if node.seq else np.arange(len(rows))
        order = np.argsort(by, kind="stable")
        if (np.diff(by) < 0).any():
            back = by[:-1] - by[1:]
            self._odd(key, "stand in another order in the log than their stamps say", int((back > 0).sum()), len(by), 0)
        if node.seq:  # of a message that came twice, the first counts
            _, first = np.unique(counted[order], return_index=True)
            twice = len(order) - len(first)
            order = order[np.sort(first)]
            self._odd(key, "come twice, of which the later is left out", twice, len(by), 0)
        rows, counted = rows[order], counted[order]
        capture, sent = (None if each is None else each[order] for each in stamps)
        return NodeLog(rows, capture, sent, counted)

    def _place(self, name: str) -> None:
        """Sets when the steps of a node start, and when their outputs were sent."""
        node, key = self.nodes[name], f"nodes.{name}"
        delay = nanoseconds(self._declared(key))
        if node.capture is not None and node.send is not None:
            node.start, node.sent = node.capture, np.maximum(node.send, node.capture)
            wrong = node.capture - node.send
            self._odd(f"import.{key}", "are sent before they are captured", int((wrong > 0).sum()), len(wrong), wrong)
        elif node.capture is not None:
            node.start, node.sent = node.capture, node.capture + delay
            self.inferred[f"{key}.end"] = f"start + declared delay {delay / 1e9:g} s"
        else:
            assert node.send is not None
            node.sent = node.send
            node.start, how = self._starts(name, node.send, delay)
            self.inferred[f"{key}.start"] = how

    def _starts(self, name: str, end: Times, delay: int) -> tuple[Times, str]:
        """Returns when steps started of which only the end is known, and how that was found.

        A step starts when the newest input that it waits for arrives, or a declared delay before its end.
        """
        waited = [edge for edge in self.spec.inputs(name) if edge.blocking and edge.name in self.arrive]
        start = end - delay
        how = f"end - declared delay {delay / 1e9:g} s"
        if waited:
            newest = np.full(len(end), -1, np.int64)
            for edge in waited:
                arrive = self.arrive[edge.name]
                arrive = np.sort(arrive[arrive < NEVER])
                at = np.searchsorted(arrive, end, side="right") - 1
                new = np.diff(at, prepend=-1) > 0
                newest = np.where(new & (at >= 0), np.maximum(newest, arrive[np.maximum(at, 0)]), newest)
            known = newest >= 0
            if known.any() and not self._declared(f"nodes.{name}"):
                delay = int(np.median((end - newest)[known]))
            start = np.where(known, newest, end - delay)
            how = f"when the newest input that it waits for arrived ({', '.join(edge.name for edge in waited)})"
        before = np.concatenate([[np.iinfo(np.int64).min], end[:-1]])
        return np.minimum(np.maximum(start, before), end), how

    def _deliver(self, edge: EdgeTiming, number: int) -> Times:
        log, source = self.log, self.nodes[edge.source]
        declared, key = log.declared.edges.get(edge.name), f"edges.{edge.name}"
        if declared is not None and declared.lag is not None:
            return source.sent + self._lag(edge, declared, number)
        if declared is None or declared.receive is None:
            delay = nanoseconds(self._declared(key))
            self.inferred[f"{key}.arrive"] = f"sent + declared delay {delay / 1e9:g} s"
            return in_order(source.sent + delay)
        sender, reader = log.ends(edge.name)
        topic = log.topics[mapping.edge_topic(declared, sender)]
        received = log.converted(topic, declared.receive, declared.unit, f"import.{key}.receive", reader.clock)
        rows = log.sent_rows(edge.name, declared)
        tick = np.full(len(log.topics[sender.topic]), -1, np.int64)
        tick[source.rows] = np.arange(len(source.rows))
        tick = np.where(rows >= 0, tick[np.maximum(rows, 0)], -1)
        arrive = np.full(len(source.sent), NEVER, np.int64)
        np.minimum.at(arrive, tick[tick >= 0], received[tick >= 0])
        came = arrive < NEVER
        early = np.where(came, source.sent - arrive, 0)
        self._odd(f"import.{key}", "arrive before they are sent", int((early > 0).sum()), int(came.sum()), early)
        arrive = np.maximum(arrive, source.sent)
        kept = in_order(arrive)
        late = (kept - arrive)[came]
        self._odd(
            f"import.{key}",
            "overtake others, which then count as arrived with them",
            int((late > 0).sum()),
            int(came.sum()),
            late,
        )
        return kept

    def _lag(self, edge: EdgeTiming, declared: ImportEdge, number: int) -> int:
        log, key = self.log, f"import.edges.{edge.name}.lag"
        source, target = self.nodes[edge.source], self.nodes[edge.target]
        assert declared.lag is not None
        sender, reader = log.ends(edge.name)
        command = log.topics[sender.topic].values[declared.lag.command][source.rows]
        response = log.topics[reader.topic].values[declared.lag.response][target.rows]
        seen = target.capture if target.capture is not None else target.send
        assert seen is not None
        try:
            found = lag.estimate(source.sent, command, seen, response, nanoseconds(declared.lag.max))
        except RexError as error:
            raise log.wrong(key, f"{key}: {error}") from None
        self.inferred[f"edges.{edge.name}.arrive"] = (
            f"{declared.lag.response} follows {declared.lag.command} by {found.lag / 1e9:.4f} s "
            f"({found.shortest / 1e9:.4f} s at least, correlation {found.correlation:.2f})"
        )
        return found.lag

    def _odd(self, key: str, what: str, count: int, of: int, by: Any) -> None:
        if count:
            self.odd[key, what] = count, of, int(np.max(by))


def in_order(arrive: Times) -> Times:
    """Delays arrivals to the order of sending (first in, first out); a lost message delays no other."""
    latest = np.maximum.accumulate(np.where(arrive < NEVER, arrive, np.iinfo(np.int64).min))
    return np.where(arrive < NEVER, latest, NEVER)
