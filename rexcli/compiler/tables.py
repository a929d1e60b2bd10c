"""Fifth stage: computes for every slot in every row which tick it runs, when that starts and what it reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from rexcli import memory_limit
from rexcli.compiler.cut import Counts, Cuts, not_empty
from rexcli.compiler.placement import Placement
from rexcli.errors import RexError
from rexcli.timeline.reading import Reading, first_readers
from rexcli.timeline.schedule import period
from rexcli.timeline.spec import EdgeTiming, SystemTiming
from rexcli.timeline.timeline import Messages, Timeline

SHORT = 16
"""The longest template whose slots are not sorted by level: too few of them are identical."""

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class InputPlan:
    """The messages that one input of one slot reads in each row.

    Attributes:
        edge: edge name.
        newest: sequence number of the newest message that has been read up to and including the tick,
            `[episodes, rows]`.
        seq: sequence number of each message, below 0 where the window has a gap, `[episodes, rows, window]`.
        consecutive: messages are read in the order 0, 1, 2, …; none is lost or overtaken.
        ts_sent, ts_recv: seconds, 0 where the window has a gap, `[episodes, rows, window]`; an edge with an adjustable
            delay has a longer window than its node sees, so that it holds what the node sees at any delay.
        age: seconds from when a message was sent to the start of the tick, and from the episode's start where the
            window has a gap, `[episodes, rows, window]`.
        adjustable: whether the edge has an adjustable delay.
        overtaken: some messages were overtaken by others. The window is longer than the node sees, so that it holds
            what the node sees in an episode that begins anywhere.

    If the slot is skipped, the values are those of a tick that runs, see `SlotPlan.at`.
    """

    edge: str
    newest: Ints
    seq: Ints
    consecutive: bool
    ts_sent: Floats
    ts_recv: Floats
    age: Floats
    adjustable: bool
    overtaken: bool


@dataclass(frozen=True)
class SlotPlan:
    """The ticks that one slot runs in each row, with their times and inputs.

    Attributes:
        node: node name.
        tick: the tick of the node, -1 where the slot is skipped, `[episodes, rows]`.
        at: the tick whose times and inputs the slot has, `[episodes, rows]`. If the slot is skipped, it is the newest
            tick that its node has run, or the node's first if it has run none: node code may be called in a skipped
            slot, with the result discarded, and should only get values that also occur otherwise.
        ts: when that tick starts, seconds, `[episodes, rows]`.
        dt: seconds since the start of the node's previous tick; a period of the node for tick 0, `[episodes, rows]`.
        inputs: the inputs, in the order of the system's declaration.
    """

    node: str
    tick: Ints
    at: Ints
    ts: Floats
    dt: Floats
    inputs: tuple[InputPlan, ...]


@dataclass(frozen=True)
class Table:
    """The tick that every slot of a template runs in every row, and the data to look up its times.

    Attributes:
        timeline: the timeline of the ticks.
        newest: as in `Cuts`.
        nodes: the node of each slot; the supervisor comes last.
        tick: the tick of each slot, -1 for none, `[episodes, rows]`.
        before: by node, number of ticks that have run when a row begins, `[episodes, rows]`.
        spare: by edge, how many more messages its windows hold than a node sees, see `InputPlan`.
        reading: the reading order of edges on which messages are lost or overtaken.
    """

    timeline: Timeline
    newest: dict[str, Counts]
    nodes: list[str]
    tick: list[Ints]
    before: dict[str, Ints]
    spare: dict[str, int]
    reading: dict[str, Reading]
    levels: tuple[int, ...] = ()
    """The level of each slot: slots of one level do not depend on each other in any row, and are adjacent. Empty for a
    short template, whose slots stay in the order in which they were found."""

    def episode(self, number: int) -> Table:
        """Returns the table of one episode."""
        one = slice(number, number + 1)
        return replace(
            self,
            timeline=self.timeline.select(one),
            newest={edge: values[one] for edge, values in self.newest.items()},
            tick=[tick[one] for tick in self.tick],
            before={name: counts[one] for name, counts in self.before.items()},
            reading={edge: Reading(each.count[one], each.order[one]) for edge, each in self.reading.items()},
        )

    def rows(self, begin: int, count: int) -> Table:
        """Returns the table of `count` rows from `begin` on; those past the end are idle."""
        part = slice(begin, begin + count)

        def padded(values: Ints, **how: Any) -> Ints:
            return np.pad(values[:, part], ((0, 0), (0, count - values[:, part].shape[1])), **how)

        return replace(
            self,
            tick=[padded(tick, constant_values=-1) for tick in self.tick],
            before={name: padded(counts, mode="edge") for name, counts in self.before.items()},
        )

    def rings(self) -> dict[str, int]:
        """Returns the shortest ring of each node's outputs that still holds every message, and every gap, when it is
        read.

        Raises:
            RexError: if a message is read before it is sent.
        """
        entries = {node.name: 1 for node in self.timeline.spec.nodes}
        written = dict(self.before)
        levels = self.levels or range(len(self.nodes))
        slots = zip(levels, self.nodes, self.tick, strict=True)
        for _, level in groupby(slots, key=lambda slot: slot[0]):
            together = [(name, tick) for _, name, tick in level]
            # Slots of one batch read before any of them writes, others read after; the ring is long enough for both.
            after = written | {name: written[name] + (tick >= 0) for name, tick in together}
            for name, tick in together:
                runs = tick >= 0
                for edge in self.timeline.spec.inputs(name):
                    newest = np.take_along_axis(self.newest[edge.name], np.maximum(tick, 0), axis=1)
                    early = runs & (newest >= written[edge.source])
                    if early.any():
                        raise RexError(
                            f"edge '{edge.name}': tick {tick[early][0]} of '{name}' reads message {newest[early][0]} "
                            f"of '{edge.source}', which is sent no earlier; give '{edge.source}' or the edge a delay"
                        )
                    oldest = newest - self.window(edge) + 1
                    if edge.name in self.reading:
                        oldest = self._seq(edge, newest, np.maximum(tick, 0)).min(axis=2)
                    sent = (written if edge.source == name else after)[edge.source]
                    span = np.where(runs, sent - oldest, 1)
                    entries[edge.source] = max(entries[edge.source], int(span.max(initial=1)))
            written = after
        return entries

    def window(self, edge: EdgeTiming) -> int:
        """Returns how many messages a program has available for a tick of an edge's target."""
        return edge.window + self.spare.get(edge.name, 0)

    def slots(self) -> Iterator[SlotPlan]:
        """Yields what each slot runs and reads."""
        done = {name: counts.copy() for name, counts in self.before.items()}
        for name, tick in zip(self.nodes, self.tick, strict=True):
            yield self._slot(name, tick, np.where(tick < 0, np.maximum(done[name] - 1, 0), tick))
            done[name] += tick >= 0

    def _slot(self, name: str, tick: Ints, at: Ints) -> SlotPlan:
        """Looks up the times and the reads of the ticks of one slot, see `SlotPlan`."""
        timeline, steps = self.timeline, self.timeline.steps[name]
        never = steps.count[:, None] == 0
        start = np.where(never, 0, np.take_along_axis(steps.start, at, axis=1))
        inputs = []
        for edge in timeline.spec.inputs(name):
            newest = np.where(never, -1, np.take_along_axis(self.newest[edge.name], at, axis=1))
            seq = self._seq(edge, newest, at)
            sent = not_empty(timeline.steps[edge.source].end, 0)
            arrive = not_empty(timeline.messages[edge.name].arrive, 0)
            episode = np.arange(len(seq))[:, None, None]
            there = np.clip(seq, 0, sent.shape[1] - 1)
            gap = seq < 0
            age = start[..., None] - np.where(gap, 0, sent[episode, there])
            inputs.append(
                InputPlan(
                    edge=edge.name,
                    newest=newest.astype(np.int32),
                    seq=seq.astype(np.int32),
                    consecutive=edge.name not in self.reading,
                    ts_sent=np.where(gap, 0.0, sent[episode, there] / 1e9).astype(np.float32),
                    ts_recv=np.where(gap, 0.0, arrive[episode, there] / 1e9).astype(np.float32),
                    age=(age / 1e9).astype(np.float32),
                    adjustable=bool(edge.adjustable),
                    overtaken=not edge.adjustable and edge.name in self.spare,
                )
            )
        last = np.take_along_axis(steps.start, np.maximum(at - 1, 0), axis=1)
        dt = np.where(at > 0, start - last, period(timeline.spec.node(name).rate)) / 1e9
        return SlotPlan(
            node=name,
            tick=tick.astype(np.int32),
            at=at.astype(np.int32),
            ts=(start / 1e9).astype(np.float32),
            dt=dt.astype(np.float32),
            inputs=tuple(inputs),
        )

    def _seq(self, edge: EdgeTiming, newest: Counts, at: Counts) -> Counts:
        """Returns the messages in the windows of an edge's target at some ticks, `[episodes, rows, window]`; gaps are
        below 0.

        Args:
            edge: the edge of the messages.
            newest: the newest message of each tick.
            at: the ticks, `[episodes, rows]`.
        """
        last = np.arange(1 - self.window(edge), 1)
        reading = self.reading.get(edge.name)
        if reading is None:
            return newest[..., None] + last
        return reading.at(np.take_along_axis(reading.count, at, axis=1)[..., None] - 1 + last)


def tabulate(cuts: Cuts, placement: Placement) -> Table:
    """Returns the table of a timeline whose ticks have been assigned to slots and rows."""
    timeline = cuts.timeline
    supervisor = np.arange(placement.tick.shape[2], dtype=np.int32) - (placement.warmup - 1)
    supervisor = np.where((supervisor >= 0) & (supervisor < cuts.length[:, None]), supervisor, np.int32(-1))
    nodes, ticks = [*placement.nodes, timeline.spec.supervisor], [*placement.tick, supervisor]
    levels: list[int] = []
    if len(nodes) > SHORT:
        levels = _levels(timeline.spec, nodes, ticks, cuts.newest)
        order = sorted(range(len(nodes)), key=levels.__getitem__)
        nodes, ticks = [nodes[place] for place in order], [ticks[place] for place in order]
        levels.sort()
    before = {name: np.zeros_like(supervisor) for name in timeline.steps}
    for name, tick in zip(nodes, ticks, strict=True):
        ran = (tick >= 0).astype(np.int32)
        before[name] += np.cumsum(ran, axis=1, dtype=np.int32) - ran
    found = {edge.name: timeline.reading(edge) for edge in timeline.spec.edges}
    reading = {name: each for name, each in found.items() if each is not None}
    spare = {edge.name: _spare(timeline, edge, reading.get(edge.name)) for edge in timeline.spec.edges}
    spare = {name: messages for name, messages in spare.items() if messages}
    table = Table(timeline, cuts.newest, nodes, ticks, before, spare, reading, tuple(levels))
    for name in nodes:
        for edge in timeline.spec.inputs(name):
            window = table.window(edge)
            memory_limit.check(
                24.0 * supervisor.size * window,
                f"windows of {window} messages of edge '{edge.name}' at {supervisor.size} steps",
                f"give a smaller one (edges.{edge.name}.window)",
            )
    return table


def _levels(spec: SystemTiming, nodes: Sequence[str], ticks: Sequence[Ints], newest: Mapping[str, Counts]) -> list[int]:
    """Returns the level of each slot: one more than the highest that it depends on in some row; the supervisor is
    highest.

    Args:
        spec: the timing of the system.
        nodes, ticks: the node and the ticks of each slot.
        newest: as in `Cuts`.
    """
    inputs: dict[str, list[EdgeTiming]] = {}
    for edge in spec.edges:
        inputs.setdefault(edge.target, []).append(edge)
    own: dict[str, list[int]] = {}
    levels: list[int] = []
    for slot, (name, tick) in enumerate(zip(nodes[:-1], ticks, strict=False)):
        level = max((levels[other] + 1 for other in own.get(name, ())), default=0)
        for edge in inputs.get(name, ()):
            above = [other for other in own.get(edge.source, ()) if levels[other] >= level]
            read = np.take_along_axis(newest[edge.name], np.maximum(tick, 0), axis=1) if above else tick
            for other in above:
                if ((read == ticks[other]) & (tick >= 0) & (ticks[other] >= 0)).any():
                    level = max(level, levels[other] + 1)
        levels.append(level)
        own.setdefault(name, []).append(slot)
    return [*levels, max(levels, default=0) + 1]


def _spare(timeline: Timeline, edge: EdgeTiming, reading: Reading | None) -> int:
    """Returns how many more messages the windows of an edge hold than a node sees, see `InputPlan`."""
    overtaken = 0 if reading is None else reading.room(edge.window) - edge.window
    if not edge.adjustable:
        return overtaken
    if overtaken:
        raise RexError(
            f"edge '{edge.name}': its delay is adjustable, but in this timeline messages overtake one another; give it "
            "another delay, or a timeline that was simulated for it"
        )
    return _left_for_later(timeline, edge)


def _left_for_later(timeline: Timeline, edge: EdgeTiming) -> int:
    """Returns the most messages that a tick reads in the timeline and has not yet received at the longest delay."""
    target, messages = timeline.steps[edge.target], timeline.messages[edge.name]
    latest = messages.arrive + edge.adjustable
    reader = first_readers(latest, target.start, target.count, strictly=edge.leaves_simultaneous)
    reader = np.where(messages.reader < 0, -1, reader)
    fewest = replace(timeline, messages={edge.name: Messages(latest, reader)}).reads(edge)
    ran = np.arange(target.start.shape[1]) < target.count[:, None]
    return int((timeline.reads(edge) - fewest)[ran].max(initial=0))
