"""One episode in real time: every step of every node, called once, when the rules of time allow.

Nodes sit on lanes; a lane is a thread. Nodes whose steps take microseconds share one, so that a message from one to
the next costs no change of threads; a node that takes long, or may block, has a lane of its own. Lanes share one
lock, which is held for bookkeeping only, never during a step.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from rexcli.errors import RexError, RunError
from rexcli.graph.states import GraphState
from rexcli.runtime.clock import Bell, now, sharpen, soften
from rexcli.runtime.gauge import Gauge, Punctuality
from rexcli.runtime.mailbox import Grid, Letter, Mailbox
from rexcli.runtime.realtime_call import Call, Done
from rexcli.timeline.phases import advances, phases, topological
from rexcli.timeline.schedule import period
from rexcli.timeline.spec import NEVER, SystemTiming, nanoseconds

PyTree = Any

SLACK = 150_000
"""Nanoseconds before the next step in which no lane begins anything else."""


class Witness(Protocol):
    """Is told what happens in one lane, in the lane's thread: it must be quick."""

    def message(self, episode: int, edge: str, letter: Letter, reader: int) -> None:
        """A message was read by tick `reader`, or by none (-1)."""

    def step(self, episode: int, node: str, seq: int, start: int, end: int, windows: Any, done: Done | None) -> None:
        """A step was made; `done` is None for the supervisor's last tick, which is where its last step ends."""

    def catch_up(self) -> bool:
        """The lane has the time for a little more than the noting. Whether there was something to do."""


class Seat:
    """One node in an episode: what it waits for, and when its next step may start."""

    def __init__(self, spec: SystemTiming, name: str, order: int, call: Call, gauge: Gauge, phase: int):
        self.name = name
        self.order = order
        self.call = call
        self.gauge = gauge
        self.timing = spec.node(name)
        self.grid = Grid(self.timing.rate, phase)
        self.period = period(self.timing.rate)
        self.advances = advances(spec, self.timing)
        self.keeps_spacing = self.timing.scheduling == "frequency"
        self.inputs: list[Mailbox] = []
        self.blocking: list[Mailbox] = []
        self.outputs: list[tuple[Mailbox, Seat]] = []
        self.given: Any = None
        self.lane: Lane
        self.tick = 0
        self.starts = 0
        self.due: int | None = None
        self.running: int | None = None
        self.first_start = self.last_start = self.last_end = 0
        self.since = 0
        self._shift = 0
        self._scheduled = 0
        self._behind = 0

    def expect(self, tick: int) -> None:
        """Turns to tick `tick`."""
        if self.keeps_spacing:
            self._shift = max(self._shift, self._behind)
        self.tick = tick
        self._scheduled = self.grid(tick)
        self._behind = self.last_end - self._scheduled
        for box in self.blocking:
            box.require(tick)
        self.refresh()

    def refresh(self) -> None:
        """Works out when the tick may start; None while a message is missing."""
        needed = 0
        for box in self.blocking:
            if not box.satisfied:
                self.due = None
                return
            needed = max(needed, box.needed)
        own = 0 if self.advances else self._scheduled + self._shift
        self.due = max(needed, self.last_end, own)

    def missed(self, time: int) -> int:
        """Ticks that were scheduled more than a period ago and have not started."""
        return max(0, (time - self._scheduled) // self.period - (self.running is not None))


class Lane:
    """The nodes that one thread serves."""

    def __init__(self, seats: Sequence[Seat], witness: Witness):
        self.witness = witness
        self.seats = sorted(seats, key=lambda seat: seat.order)
        self.bell = Bell()
        for seat in seats:
            seat.lane = self

    def next(self) -> Seat | None:
        """The node whose step is due first; of several, the one whose messages the others may read."""
        chosen, first = None, NEVER
        for seat in self.seats:
            if seat.due is not None and seat.due < first:
                chosen, first = seat, seat.due
        return chosen


class Episode:
    """Runs from `begin` until the supervisor has made its steps, the time is over, or somebody calls `close`.

    Args:
        number: from 0 on.
        spec: the system's timing.
        calls: each node's step.
        gauges: of each node.
        shared: the nodes that share one lane.
        graph_state: where the nodes start.
        witness: gives each lane somebody to tell what happens.
        steps: of the supervisor, or None for as many as there are in `seconds`.
        seconds: the length of the episode, or None.
        refuse_nan: a message with a number that is none ends the episode before anybody reads it.
        spin: ns that a lane waits awake, before a step is due.
        priority: of the lanes' threads, see `clock.sharpen`.
    """

    def __init__(
        self,
        number: int,
        spec: SystemTiming,
        calls: Mapping[str, Call],
        gauges: Mapping[str, Gauge],
        shared: Sequence[str],
        graph_state: GraphState,
        witness: Callable[[], Witness],
        *,
        steps: int | None = None,
        seconds: float | None = None,
        refuse_nan: bool = True,
        spin: int = 0,
        priority: int = 0,
    ):
        self.number = number
        self.error: RexError | None = None
        self.closed = False
        self.began = 0
        self.ended = 0
        self._finished = False
        self._lock = threading.Lock()
        self._steps = steps
        self._until = None if seconds is None else nanoseconds(seconds)
        self._refuse_nan, self._spin, self._priority = refuse_nan, spin, priority
        self.seats = _seats(spec, calls, gauges, graph_state)
        self._supervisor = self.seats[spec.supervisor]
        alone = [name for name in self.seats if name not in shared]
        groups = [names for names in (shared, *([name] for name in alone)) if names]
        self.lanes = [Lane([self.seats[name] for name in names], witness()) for names in groups]

    @property
    def steps_done(self) -> int:
        """Supervisor steps so far."""
        return self._supervisor.tick

    @property
    def seconds(self) -> float:
        """Since its start."""
        return max(0, self.ended if self.closed else now() - self.began) / 1e9

    def begin(self, time: int) -> None:
        """Sets time 0, ns on the clock of `now`."""
        self.began = time
        for seat in self.seats.values():
            seat.expect(0)

    def close(self, error: RexError | None = None) -> None:
        """No further step starts. Those that run are left to end."""
        with self._lock:
            self._close(error)

    def _close(self, error: RexError | None = None, time: int | None = None) -> None:
        self.error = self.error or error
        if self.closed:
            return
        self.closed = True
        self.ended = now() - self.began if time is None else time
        for lane in self.lanes:
            lane.bell.ring()

    def running(self) -> list[tuple[Seat, int]]:
        """Nodes in a step, and for how long they have been, ns."""
        with self._lock:
            time = now() - self.began
            return [(seat, time - seat.running) for seat in self.seats.values() if seat.running is not None]

    def drive(self, lane: Lane) -> None:
        """Serves a lane until the episode is over. Runs in the lane's thread."""
        sharpen(self._priority)
        try:
            while True:
                with self._lock:
                    time = now() - self.began
                    seat = lane.next()
                    if self._over(seat, time):
                        return
                    due = None if seat is None else seat.due
                    started = None
                    if seat is not None and due is not None and due <= time:
                        started = self._start(seat, time)
                if seat is not None and started is not None:
                    self._step(seat, time, *started)
                else:
                    self._wait(lane, due)
        except BaseException as error:
            self.close(RunError(f"the wall clock failed: {type(error).__name__}: {error}"))
            raise
        finally:
            soften(self._priority)

    def finish(self) -> None:
        """Notes the messages that nobody read, and how punctual everybody was. Steps that still run stay unheard."""
        with self._lock:
            self._finished = True
            for seat in self.seats.values():
                for box, _ in seat.outputs:
                    for letter in box.waiting:
                        seat.lane.witness.message(self.number, box.edge.name, letter, -1)
                    box.waiting.clear()
                seat.gauge.end_episode(seat.first_start, seat.last_start, seat.starts, seat.missed(self.ended))

    def punctuality(self) -> list[Punctuality]:
        """How the nodes keep their time at present."""
        with self._lock:
            time = self.ended if self.closed else now() - self.began
            counts = [
                (seat.gauge, seat.last_start - seat.first_start, max(0, seat.starts - 1), seat.missed(time))
                for seat in self.seats.values()
            ]
        return [
            gauge.summary(recent=True, span=span, intervals=intervals, missed=missed)
            for gauge, span, intervals, missed in counts
        ]

    def _over(self, seat: Seat | None, time: int) -> bool:
        """Whether the lane has nothing left to do; the supervisor's last tick ends the episode for all."""
        if not self.closed:
            if self._until is not None and time > self._until:
                self._close(time=self._until)
            elif seat is self._supervisor and seat.tick == self._steps and seat.due is not None and seat.due <= time:
                windows, read, _ = self._start(seat, time)
                seat.running = None
                self._close(time=time)
                self._tell(seat, time, time, windows, read, None)
        return self.closed

    def _start(self, seat: Seat, time: int) -> tuple[list[tuple[Letter, ...]], list[tuple[str, Letter]], int]:
        """A step starts: what it sees, what it reads for the first time, and its tick."""
        windows, read, age = [], [], None
        for box in seat.inputs:
            read += [(box.edge.name, letter) for letter in box.read(time)]
            windows.append(tuple(box.window))
            newest = box.window[-1]
            if newest.seq >= 0:
                age = max(age or 0, time - newest.sent)
        assert seat.due is not None
        if seat.starts == 0:
            seat.first_start = time
        seat.since = time - seat.last_start if seat.starts else seat.period
        seat.last_start = time
        seat.starts += 1
        seat.gauge.add(time - seat.due, age)
        seat.running, seat.due = time, None
        return windows, read, seat.tick

    def _step(
        self, seat: Seat, start: int, windows: list[tuple[Letter, ...]], read: list[tuple[str, Letter]], tick: int
    ) -> None:
        done, error = None, None
        try:
            done = seat.call(seat.given, self.number, tick, start, seat.since, windows)
        except BaseException as raised:
            error = _failure(seat.name, tick, raised)
        end = now() - self.began
        if done is not None and done.nan and self._refuse_nan:
            error = RunError(
                f"node '{seat.name}': step {tick} sends NaN, given to nobody; mend the step, or set wall.nan: allow"
            )
        ring: set[Lane] = set()
        with self._lock:
            if self._finished:
                return
            seat.running = None
            if error is not None:
                self._close(error)
            elif done is not None:
                self._deliver(seat, tick, end, done.output, ring)
                seat.given, seat.last_end = done.given, end
                seat.gauge.busy += end - start
                seat.expect(tick + 1)
        for lane in ring:
            lane.bell.ring()
        if done is None:
            for edge, letter in read:
                seat.lane.witness.message(self.number, edge, letter, -1)
        else:
            later = round(done.later * 1e9) if done.later > 0 else 0
            self._tell(seat, min(start + later, end), end, windows, read, done, tick)

    def _deliver(self, seat: Seat, tick: int, sent: int, output: PyTree, ring: set[Lane]) -> None:
        """Puts a message into the mailboxes of its readers; gathers the lanes to wake."""
        time = now() - self.began
        for box, target in seat.outputs:
            box.put(tick, sent, time, output)
            if box.edge.blocking and target.running is None and target is not seat:
                target.refresh()
                if target.due is not None and target.lane is not seat.lane:
                    ring.add(target.lane)

    def _tell(
        self,
        seat: Seat,
        start: int,
        end: int,
        windows: list[tuple[Letter, ...]],
        read: list[tuple[str, Letter]],
        done: Done | None,
        tick: int | None = None,
    ) -> None:
        tick = seat.tick if tick is None else tick
        for edge, letter in read:
            seat.lane.witness.message(self.number, edge, letter, tick)
        seat.lane.witness.step(self.number, seat.name, tick, start, end, windows, done)

    def _wait(self, lane: Lane, due: int | None) -> None:
        """Until a step is due, the time is over, or a message comes from another lane."""
        if self._until is not None:
            due = self._until + 1 if due is None else min(due, self._until + 1)
        # Two who want the interpreter pass it to and fro, and both take longer: so this is for when no node has a step.
        soon = now() - self.began + SLACK
        busy = any(
            seat.running is not None or (seat.due is not None and seat.due < soon) for seat in self.seats.values()
        )
        if not busy and lane.witness.catch_up():
            return
        if due is None:
            lane.bell.wait()
        else:
            lane.bell.wait_until(self.began + due, self._spin)


def _seats(
    spec: SystemTiming, calls: Mapping[str, Call], gauges: Mapping[str, Gauge], graph_state: GraphState
) -> dict[str, Seat]:
    """The nodes and the mailboxes between them."""
    phase, order = phases(spec), topological(spec)
    seats = {
        node.name: Seat(spec, node.name, order.index(node.name), calls[node.name], gauges[node.name], phase[node.name])
        for node in spec.nodes
    }
    for seat in seats.values():
        name = seat.name
        seat.given = seat.call.given(graph_state.rng[name], graph_state.params[name], graph_state.state[name])
    for edge in spec.edges:
        source, target = seats[edge.source], seats[edge.target]
        box = Mailbox(edge, source.timing, source.grid, target.grid, graph_state.outputs[edge.source])
        target.inputs.append(box)
        source.outputs.append((box, target))
        if edge.blocking:
            target.blocking.append(box)
    return seats


def _failure(node: str, tick: int, error: BaseException) -> RunError:
    """What a step raised, as one line with the place in the node's code."""
    if isinstance(error, RexError):
        failure = RunError(f"{error} (step {tick})")
    else:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "site-packages" not in frame.filename and "/rexcli/" not in frame.filename]
        place = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
        failure = RunError(f"node '{node}': step {tick} raised {type(error).__name__}: {error}{place}")
    failure.__cause__ = error
    return failure
