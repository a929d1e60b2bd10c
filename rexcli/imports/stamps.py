"""Converts the stamps of a log to the recorder's clock, and matches the messages of one topic to those of another."""

from __future__ import annotations

import numpy as np

from rexcli.config.schema import Experiment, ImportEdge, ImportNode
from rexcli.errors import RexError
from rexcli.imports import clocks, mapping
from rexcli.imports.fields import UNSET
from rexcli.imports.topics import Topic
from rexcli.timeline.timeline import Times


class Log:
    """The topics of a log under an experiment's mapping, with all stamps on the recorder's clock."""

    def __init__(self, experiment: Experiment, topics: dict[str | None, Topic], path: str):
        self.experiment, self.topics, self.path = experiment, topics, path
        self.declared = experiment.importing
        self.warnings: list[str] = []
        self.clocks: dict[str, clocks.Clock] = {}
        self._estimate_clocks()

    def stamp(self, topic: Topic, path: str, unit: str | None, key: str) -> Times:
        """Returns a stamp as it is in the log, ns."""
        if path == "log":
            if topic.log is None:
                raise self.wrong(key, f"{key}=log: topic {topic.name} has no log time; name a field that holds a time")
            return topic.log
        if path == "publish":
            if topic.published is None:
                raise self.wrong(
                    key, f"{key}=publish: topic {topic.name} has no time of publishing; give log or a field"
                )
            return topic.published
        found = topic.stamps[path, unit]
        unset = int((found == UNSET).sum())
        if unset:
            raise self.wrong(
                key,
                f"{key}={path}: {unit_of(unset, 'message')} of {topic.name} {'has' if unset == 1 else 'have'} no "
                "time there; name another stamp, such as log",
            )
        return found

    def converted(self, topic: Topic, path: str, unit: str | None, key: str, clock: str | None) -> Times:
        """Returns a stamp on the recorder's clock, ns."""
        found = self.stamp(topic, path, unit, key)
        return self.clocks[clock].convert(found) if clock is not None and path != "log" else found

    def wrong(self, key: str, text: str) -> RexError:
        return RexError(f"{self.experiment.origins.where(key)}: {text}")

    def episodes(self, topic: Topic) -> Times:
        name = self.declared.episode
        return np.zeros(len(topic), np.int64) if name is None else whole(topic, name)

    def ends(self, edge: str) -> tuple[ImportNode, ImportNode]:
        declared = self.experiment.edges[edge]
        return self.declared.nodes[declared.source], self.declared.nodes[declared.target]

    def sent_rows(self, name: str, edge: ImportEdge) -> Times:
        """Returns the row in the sender's topic of each message of an edge's topic, -1 for none, `[messages]`."""
        source, _ = self.ends(name)
        topic, there = self.topics[source.topic], self.topics[mapping.edge_topic(edge, source)]
        if edge.topic is None or edge.topic == source.topic:
            return np.arange(len(there))
        key = f"import.edges.{name}"
        if edge.send is not None:
            own = source.send if source.send not in (None, *mapping.WORDS) else source.capture
            if own is None or own in mapping.WORDS:
                raise self.wrong(
                    key,
                    f"{key}.send={edge.send}: import.nodes.{self.experiment.edges[name].source}: has no stamp of its "
                    "own to be found by; give its `capture` or `send`, or pair the two by `seq`",
                )
            ours, theirs = self.stamp(topic, own, source.unit, key), self.stamp(there, edge.send, edge.unit, key)
            what = f"{key}.send={edge.send}"
        elif edge.seq is not None:
            ours = whole(topic, source.seq) if source.seq else counted(self.episodes(topic))
            theirs, what = whole(there, edge.seq), f"{key}.seq={edge.seq}"
        else:
            ours, theirs, what = counted(self.episodes(topic)), counted(self.episodes(there)), key
            if len(topic) != len(there):
                raise self.wrong(
                    key,
                    f"{key}: {topic.name} has {len(topic)} messages and {there.name} {len(there)}: which is which "
                    "is not known; pair them by `seq`, which numbers them, or `send`, a copy of the sender's stamp",
                )
        rows = match(np.stack([self.episodes(topic), ours]), np.stack([self.episodes(there), theirs]))
        lost = int((rows < 0).sum())
        if len(rows) and lost == len(rows):
            raise self.wrong(key, f"{what}: no message of {there.name} is one of {topic.name}; name fields that agree")
        if lost:
            self.warnings.append(f"{what}: {lost} of {len(rows)} messages are none of {topic.name}, and left out")
        return rows

    def _estimate_clocks(self) -> None:
        """Estimates clocks in the order of how many messages they exchange with the recorder or a known clock."""
        names = dict.fromkeys(node.clock for node in self.declared.nodes.values() if node.clock is not None)
        waiting = list(names)
        while waiting:
            found = {name: self._traffic(name) for name in waiting}
            name = max(waiting, key=lambda each: max(len(found[each][0][0]), len(found[each][1][0])))
            given = self.declared.clocks.get(name)
            to, back = found[name]
            offset, drift = (given.offset, given.drift) if given else (None, None)
            try:
                clock = self.clocks[name] = clocks.estimate(name, to, back, offset, drift)
            except RexError as error:
                raise self.wrong(f"import.clocks.{name}", str(error)) from None
            waiting.remove(name)
            if clock.messages:
                self.warnings.append(f"clock {name}: {described(clock)}")

    def _traffic(self, name: str) -> tuple[tuple[Times, Times], tuple[Times, Times]]:
        """Returns the messages from a clock and to it: its own stamps, and those on the recorder's clock."""
        to: list[tuple[Times, Times]] = []
        back: list[tuple[Times, Times]] = []
        nodes = self.declared.nodes
        for key, node in nodes.items():
            path = node.send if node.send not in (None, "log") else node.capture
            topic = self.topics[node.topic]
            if node.clock == name and path not in (None, "log") and topic.log is not None:
                to.append((self.stamp(topic, str(path), node.unit, f"import.nodes.{key}"), topic.log))
        for key, edge in self.declared.edges.items():
            source, target = self.ends(key)
            if (
                edge.receive in (None, "log")
                or name not in (source.clock, target.clock)
                or source.clock == target.clock
            ):
                continue
            path = source.send if source.send is not None else source.capture or "log"
            topic, there = self.topics[source.topic], self.topics[mapping.edge_topic(edge, source)]
            rows = self.sent_rows(key, edge)
            received = self.stamp(there, str(edge.receive), edge.unit, f"import.edges.{key}.receive")[rows >= 0]
            sent = self.stamp(topic, path, source.unit, f"import.nodes.{key}")[rows[rows >= 0]]
            sender = None if path == "log" else source.clock
            if sender == name and self._known(target.clock):
                to.append((sent, self._reference(received, target.clock)))
            elif target.clock == name and self._known(sender):
                back.append((received, self._reference(sent, sender)))
        return _joined(to), _joined(back)

    def _known(self, clock: str | None) -> bool:
        return clock is None or clock in self.clocks

    def _reference(self, stamps: Times, clock: str | None) -> Times:
        return stamps if clock is None else self.clocks[clock].convert(stamps)


def described(clock: clocks.Clock) -> str:
    """Describes a clock in one line."""
    how = f"{clock.messages} messages"
    known = (
        "one way alone, so their shortest delay counts as 0"
        if clock.error is None
        else f"both ways, ±{clock.error / 1e6:.3g} ms"
    )
    return f"offset {clock.offset / 1e9:.6f} s, drift {clock.drift * 1e6:.1f} µs/s, estimated from {how} {known}"


def unit_of(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _joined(parts: list[tuple[Times, Times]]) -> tuple[Times, Times]:
    none = np.zeros(0, np.int64)
    return np.concatenate([none, *(own for own, _ in parts)]), np.concatenate([none, *(other for _, other in parts)])


def whole(topic: Topic, path: str) -> Times:
    """Returns a field of integers.

    Raises:
        RexError: the field holds something else.
    """
    values = topic.values[path]
    if not len(values):
        return np.zeros(0, np.int64)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise RexError(f"topic {topic.name}: field '{path}' holds no whole numbers, which tell messages apart")
    return values.astype(np.int64)


def counted(episodes: Times) -> Times:
    """Counts from 0 on in each episode."""
    counted = np.zeros(len(episodes), np.int64)
    for number in np.unique(episodes):
        counted[episodes == number] = np.arange((episodes == number).sum())
    return counted


def match(known: Times, asked: Times) -> Times:
    """Returns the index of each column of `asked` among those of `known`, -1 if it is not there."""
    places = {tuple(each): place for place, each in reversed(list(enumerate(known.T.tolist())))}
    return np.array([places.get(tuple(each), -1) for each in asked.T.tolist()], np.int64)
