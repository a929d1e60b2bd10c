"""Runs one episode in real time: calls every step of every node once, when the timing rules allow.

An executor is a thread that runs some nodes. Nodes whose steps take microseconds share one, so that a message between
them needs no context switch, and those that are due at the same time make their steps in one call; a node that takes
long, or may block, has its own executor. Executors share one lock, which is never held during a step.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from rexcli.errors import RexError, RunError
from rexcli.runtime.wall.emulation import Emulation
from rexcli.runtime.wall.latency import LatencyStatistics, Punctuality
from rexcli.runtime.wall.message_queue import MessageQueue, ReceivedMessage, TickSchedule
from rexcli.runtime.wall.realtime import WakeEvent, now, reset_realtime, set_realtime
from rexcli.runtime.wall.realtime_call import Call, CallResult, FusedCall, StepRequest
from rexcli.system.states import GraphState
from rexcli.timeline.phases import advances, phases, topological
from rexcli.timeline.schedule import period
from rexcli.timeline.spec import NEVER, SystemTiming, nanoseconds

PyTree = Any

Windows = list[tuple[ReceivedMessage, ...]]
"""What a step sees: the newest messages of each input."""
Read = list[tuple[str, ReceivedMessage]]
"""The messages that a step is the first to read, each with its edge."""

SLACK = 150_000
"""Nanoseconds before the next step in which no executor starts anything else."""


class StepListener(Protocol):
    """Receives the steps and messages of one executor, in the executor's thread: its methods must be quick."""

    def message(self, episode: int, edge: str, message: ReceivedMessage, reader: int) -> None:
        """Called when a message was read by tick `reader`, or by none (-1)."""

    def step(
        self, episode: int, node: str, seq: int, start: int, end: int, windows: Any, done: CallResult | None
    ) -> None:
        """Called after a step; `done` is None for the supervisor's last tick, which ends its last step."""

    def catch_up(self) -> bool:
        """Called when the executor has nothing to do for a moment; returns whether the listener used the time."""


class ScheduledNode:
    """One node in an episode: the messages that it waits for, and when its next step may start."""

    def __init__(self, spec: SystemTiming, name: str, order: int, call: Call, latency: LatencyStatistics, phase: int):
        self.name = name
        self.order = order
        self.call = call
        self.latency = latency
        self.timing = spec.node(name)
        self.schedule = TickSchedule(self.timing.rate, phase)
        self.period = period(self.timing.rate)
        self.advances = advances(spec, self.timing)
        self.keeps_spacing = self.timing.scheduling == "frequency"
        self.inputs: list[MessageQueue] = []
        self.blocking: list[MessageQueue] = []
        self.outputs: list[tuple[MessageQueue, ScheduledNode]] = []
        self.given: Any = None
        self.executor: Executor
        self.together: tuple[tuple[ScheduledNode, ...], FusedCall] | None = None
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
        """Prepares for tick `tick`, the next one."""
        if self.keeps_spacing:
            self._shift = max(self._shift, self._behind)
        self.tick = tick
        self._scheduled = self.schedule(tick)
        self._behind = self.last_end - self._scheduled
        for queue in self.blocking:
            queue.require(tick)
        self.refresh()

    def refresh(self) -> None:
        """Computes when the tick may start; None while a message is missing."""
        needed = 0
        for queue in self.blocking:
            if not queue.satisfied:
                self.due = None
                return
            needed = max(needed, queue.needed)
        own = 0 if self.advances else self._scheduled + self._shift
        self.due = max(needed, self.last_end, own)

    def missed(self, time: int) -> int:
        """Returns how many ticks were scheduled more than a period ago and have not started."""
        return max(0, (time - self._scheduled) // self.period - (self.running is not None))


class StartedStep(NamedTuple):
    """A step that has started: what it sees, the messages that it is the first to read, and its tick."""

    node: ScheduledNode
    windows: Windows
    read: Read
    tick: int


class Executor:
    """The nodes that one thread runs."""

    def __init__(self, nodes: Sequence[ScheduledNode], listener: StepListener):
        self.listener = listener
        self.nodes = sorted(nodes, key=lambda node: node.order)
        self.event = WakeEvent()
        for node in nodes:
            node.executor = self

    def next(self) -> ScheduledNode | None:
        """Returns the node whose step is due first; of several, the one whose messages the others may read."""
        chosen, first = None, NEVER
        for node in self.nodes:
            if node.due is not None and node.due < first:
                chosen, first = node, node.due
        return chosen

    @staticmethod
    def due_with(node: ScheduledNode, time: int) -> tuple[ScheduledNode, ...]:
        """Returns the nodes whose steps start together with this one: all of its fused call if they are due, or itself
        alone.
        """
        if node.together is not None:
            nodes, _ = node.together
            if all(each.due is not None and each.due <= time for each in nodes):
                return nodes
        return (node,)


class Episode:
    """Runs from `begin` until the supervisor has made its steps, the time is over, or `close` is called.

    Args:
        number: the number of the episode, from 0 on.
        spec: the system's timing.
        calls: the call of each node's step.
        latencies: the latency statistics of each node.
        shared: the nodes that share one executor.
        fused: fused calls of several of these nodes, by their names in order.
        graph_state: the initial state.
        listener: creates a listener for each executor.
        steps: number of supervisor steps, or None for as many as fit in `seconds`.
        seconds: the length of the episode, or None.
        refuse_nan: whether an output with NaN ends the episode before any node reads it.
        spin: ns of busy waiting of an executor before a step is due.
        priority: priority of the executors' threads, see `realtime.set_realtime`.
        emulation: emulates declared delays and losses; None for the machine's own delays.
    """

    def __init__(
        self,
        number: int,
        spec: SystemTiming,
        calls: Mapping[str, Call],
        latencies: Mapping[str, LatencyStatistics],
        shared: Sequence[str],
        fused: Mapping[tuple[str, ...], FusedCall],
        graph_state: GraphState,
        listener: Callable[[], StepListener],
        *,
        steps: int | None = None,
        seconds: float | None = None,
        refuse_nan: bool = True,
        spin: int = 0,
        priority: int = 0,
        emulation: Emulation | None = None,
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
        self.emulation = emulation
        self.nodes = _scheduled_nodes(spec, calls, latencies, graph_state)
        self._supervisor = self.nodes[spec.supervisor]
        alone = [name for name in self.nodes if name not in shared]
        groups = [names for names in (shared, *([name] for name in alone)) if names]
        self.executors = [Executor([self.nodes[name] for name in names], listener()) for names in groups]
        for names, call in fused.items():
            nodes = tuple(self.nodes[name] for name in names)
            for node in nodes:
                node.together = nodes, call

    @property
    def steps_done(self) -> int:
        """The number of supervisor steps so far."""
        return self._supervisor.tick

    @property
    def seconds(self) -> float:
        """The seconds since the episode started."""
        return max(0, self.ended if self.closed else now() - self.began) / 1e9

    def begin(self, time: int) -> None:
        """Sets time 0, ns on the clock of `now`."""
        self.began = time
        for node in self.nodes.values():
            node.expect(0)

    def close(self, error: RexError | None = None) -> None:
        """Ends the episode: no further step starts, and running steps end normally."""
        with self._lock:
            self._close(error)

    def _close(self, error: RexError | None = None, time: int | None = None) -> None:
        self.error = self.error or error
        if self.closed:
            return
        self.closed = True
        self.ended = now() - self.began if time is None else time
        for executor in self.executors:
            executor.event.set()

    def running(self) -> list[tuple[ScheduledNode, int]]:
        """Returns the nodes that are in a step, and for how long, ns."""
        with self._lock:
            time = now() - self.began
            return [(node, time - node.running) for node in self.nodes.values() if node.running is not None]

    def drive(self, executor: Executor) -> None:
        """Runs the steps of an executor's nodes until the episode is over, in the executor's thread."""
        set_realtime(self._priority)
        try:
            while True:
                with self._lock:
                    time = now() - self.began
                    node = executor.next()
                    if self._over(node, time):
                        return
                    due = None if node is None else node.due
                    started = []
                    if node is not None and due is not None and due <= time:
                        started = [self._start(each, time) for each in executor.due_with(node, time)]
                if started:
                    self._step(time, started)
                else:
                    self._wait(executor, due)
        except BaseException as error:
            self.close(RunError(f"the wall clock failed: {type(error).__name__}: {error}"))
            raise
        finally:
            reset_realtime(self._priority)

    def finish(self) -> None:
        """Records the messages that no node read and the latency statistics; steps that still run are not recorded."""
        with self._lock:
            self._finished = True
            for node in self.nodes.values():
                for queue, _ in node.outputs:
                    for message in queue.waiting:
                        node.executor.listener.message(self.number, queue.edge.name, message, -1)
                    queue.waiting.clear()
                node.latency.end_episode(node.first_start, node.last_start, node.starts, node.missed(self.ended))

    def punctuality(self) -> list[Punctuality]:
        """Returns how punctual the nodes are at present."""
        with self._lock:
            time = self.ended if self.closed else now() - self.began
            counts = [
                (node.latency, node.last_start - node.first_start, max(0, node.starts - 1), node.missed(time))
                for node in self.nodes.values()
            ]
        return [
            latency.summary(recent=True, span=span, intervals=intervals, missed=missed)
            for latency, span, intervals, missed in counts
        ]

    def _over(self, node: ScheduledNode | None, time: int) -> bool:
        """Returns whether the executor has nothing left to do; the supervisor's last tick ends the episode for all."""
        if not self.closed:
            if self._until is not None and time > self._until:
                self._close(time=self._until)
            elif node is self._supervisor and node.tick == self._steps and node.due is not None and node.due <= time:
                started = self._start(node, time)
                node.running = None
                self._close(time=time)
                self._tell(started, time, time, None)
        return self.closed

    def _start(self, node: ScheduledNode, time: int) -> StartedStep:
        """Starts a step: reads its messages and measures its lateness."""
        windows, read, age = [], [], None
        for queue in node.inputs:
            read += [(queue.edge.name, message) for message in queue.read(time)]
            windows.append(tuple(queue.window))
            newest = queue.window[-1]
            if newest.seq >= 0:
                age = max(age or 0, time - newest.sent)
        assert node.due is not None
        if node.starts == 0:
            node.first_start = time
        node.since = time - node.last_start if node.starts else node.period
        node.last_start = time
        node.starts += 1
        node.latency.add(time - node.due, age)
        node.running, node.due = time, None
        return StartedStep(node, windows, read, node.tick)

    def _step(self, start: int, started: Sequence[StartedStep]) -> None:
        """Makes steps that end together, and delivers what they send."""
        results, error = self._call(start, started)
        ended = now() - self.began
        ends = [ended] * len(started)
        if self.emulation is not None:
            ends = [start + self.emulation.busy(each.node.name, each.tick, ended - start) for each in started]
        broken = next((each for each, done in zip(started, results, strict=False) if done.nan), None)
        if broken is not None and self._refuse_nan:
            error = RunError(
                f"node '{broken.node.name}': step {broken.tick} sends NaN, given to nobody; mend the step, or set "
                "wall.nan: allow"
            )
        woken: set[Executor] = set()
        with self._lock:
            if self._finished:
                return
            for each in started:
                each.node.running = None
            if error is not None:
                self._close(error)
            else:
                for each, done, end in zip(started, results, ends, strict=True):
                    self._deliver(each.node, each.tick, end, done.output, woken)
                for (node, _, _, tick), done, end in zip(started, results, ends, strict=True):
                    node.given, node.last_end = done.given, end
                    node.latency.busy += end - start
                    node.expect(tick + 1)
        for executor in woken:
            executor.event.set()
        if not results:
            for each in started:
                for edge, message in each.read:
                    each.node.executor.listener.message(self.number, edge, message, -1)
            return
        for each, done, end in zip(started, results, ends, strict=True):
            later = round(done.stamp_offset * 1e9) if done.stamp_offset > 0 else 0
            self._tell(each, min(start + later, end), end, done)

    def _call(self, start: int, started: Sequence[StartedStep]) -> tuple[list[CallResult], RunError | None]:
        """Returns the results of steps, or the error that prevented them."""
        node, windows, _, tick = started[0]
        try:
            if len(started) == 1:
                return [node.call(node.given, self.number, tick, start, node.since, windows)], None
            assert node.together is not None
            requests = [StepRequest(each.node.given, each.tick, each.node.since, each.windows) for each in started]
            return node.together[1](requests, self.number, start), None
        except BaseException as raised:
            return [], _failure(node.name, tick, raised)

    def _deliver(self, node: ScheduledNode, tick: int, sent: int, output: PyTree, woken: set[Executor]) -> None:
        """Puts a message into the queues of its readers, and collects the executors to wake."""
        time = now() - self.began
        for queue, target in node.outputs:
            if self.emulation is None:
                queue.put(tick, sent, time, output)
            else:
                name = queue.edge.name
                lost = self.emulation.lost(name, tick)
                queue.put(tick, sent, sent + self.emulation.delay(name, tick), output, lost=lost)
                if lost:
                    message = ReceivedMessage(tick, sent, NEVER, output)
                    node.executor.listener.message(self.number, name, message, -1)
            if queue.edge.blocking and target.running is None and target is not node:
                target.refresh()
                if target.due is not None and target.executor is not node.executor:
                    woken.add(target.executor)

    def _tell(self, started: StartedStep, start: int, end: int, done: CallResult | None) -> None:
        node, windows, read, tick = started
        for edge, message in read:
            node.executor.listener.message(self.number, edge, message, tick)
        node.executor.listener.step(self.number, node.name, tick, start, end, windows, done)

    def _wait(self, executor: Executor, due: int | None) -> None:
        """Waits until a step is due, the time is over, or a message comes from another executor."""
        if self._until is not None:
            due = self._until + 1 if due is None else min(due, self._until + 1)
        # Threads that compete for the interpreter lock slow each other down, so do this when no node has a step.
        soon = now() - self.began + SLACK
        busy = any(
            node.running is not None or (node.due is not None and node.due < soon) for node in self.nodes.values()
        )
        if not busy and executor.listener.catch_up():
            return
        if due is None:
            executor.event.wait()
        else:
            executor.event.wait_until(self.began + due, self._spin)


def _scheduled_nodes(
    spec: SystemTiming, calls: Mapping[str, Call], latencies: Mapping[str, LatencyStatistics], graph_state: GraphState
) -> dict[str, ScheduledNode]:
    """Creates the nodes and the queues between them."""
    phase, order = phases(spec), topological(spec)
    nodes = {
        node.name: ScheduledNode(
            spec, node.name, order.index(node.name), calls[node.name], latencies[node.name], phase[node.name]
        )
        for node in spec.nodes
    }
    for node in nodes.values():
        name = node.name
        memory = graph_state.memory if name == spec.supervisor else {}
        node.given = node.call.given(graph_state.rng[name], graph_state.params[name], graph_state.state[name], memory)
    for edge in spec.edges:
        source, target = nodes[edge.source], nodes[edge.target]
        queue = MessageQueue(edge, source.timing, source.schedule, target.schedule, graph_state.outputs[edge.source])
        target.inputs.append(queue)
        source.outputs.append((queue, target))
        if edge.blocking:
            target.blocking.append(queue)
    return nodes


def _failure(node: str, tick: int, error: BaseException) -> RunError:
    """Returns the error of a step as one line with the place in the node's code."""
    if isinstance(error, RexError):
        failure = RunError(f"{error} (step {tick})")
    else:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "site-packages" not in frame.filename and "/rexcli/" not in frame.filename]
        place = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
        failure = RunError(f"node '{node}': step {tick} raised {type(error).__name__}: {error}{place}")
    failure.__cause__ = error
    return failure
