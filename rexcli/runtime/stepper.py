"""Runs node code in plain Python, tick by tick, on a simulated timeline.

The stepper runs any node code, passes every step to a listener, and is the reference for tests of the compiled program.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.errors import RexError
from rexcli.system.adjustable import AdjustableDelay, blend, hold, hold_floats, hold_shares, linear_share
from rexcli.system.call import NodeCall, StepFunction
from rexcli.system.init import Delays, init_graph_state, with_memory
from rexcli.system.spec import Edge
from rexcli.system.states import GraphState, StepState
from rexcli.system.system import System
from rexcli.system.types import conform_step
from rexcli.timeline.instants import begun, ended
from rexcli.timeline.order import order
from rexcli.timeline.schedule import period
from rexcli.timeline.timeline import Timeline

PyTree = Any


class Listener(Protocol):
    """Receives every step as it happens."""

    def begin(self, episode: int, graph_state: GraphState) -> None:
        """Called when an episode starts."""

    def step(self, node: str, seq: int, before: StepState, after: StepState, output: PyTree) -> None:
        """Called after each step of a node."""

    def end(self, episode: int, seq: int) -> None:
        """Called when the episode is over; the supervisor's tick `seq` is where its last step ended."""


class Listeners:
    """Passes every call to several listeners."""

    def __init__(self, listeners: Sequence[Listener]):
        self._listeners = tuple(listeners)

    def begin(self, episode: int, graph_state: GraphState) -> None:
        for listener in self._listeners:
            listener.begin(episode, graph_state)

    def step(self, node: str, seq: int, before: StepState, after: StepState, output: PyTree) -> None:
        for listener in self._listeners:
            listener.step(node, seq, before, after, output)

    def end(self, episode: int, seq: int) -> None:
        for listener in self._listeners:
            listener.end(episode, seq)


class Stepper:
    """A system on a simulated timeline with a gym-like interface: `reset`, `step`, `run`, and `stop` at the end.

    Args:
        system: the system to run.
        timeline: a timeline of that system.
        listener: receives every step.
        real_time_factor: 0 runs as fast as possible, 1 in real time, 2 twice as fast.
    """

    def __init__(
        self,
        system: System,
        timeline: Timeline,
        listener: Listener | None = None,
        real_time_factor: float = 0.0,
    ):
        self.system = system
        self.timeline = timeline
        self.listener = listener
        self.real_time_factor = real_time_factor
        self._calls = {name: NodeCall(node) for name, node in system.nodes.items()}
        self._reads = {edge.name: timeline.reads(edge) for edge in timeline.spec.edges}
        self._reading = {edge.name: timeline.reading(edge) for edge in timeline.spec.edges}
        self._controllers: dict[StepFunction, NodeCall] = {}
        self._started = False
        self._episode = -1

    def init(
        self,
        rng: jax.Array,
        params: Mapping[str, PyTree] | None = None,
        *,
        eps: int = 0,
        delays: Delays | None = None,
    ) -> GraphState:
        """Returns the state of every node at the start of episode `eps` of the timeline.

        Args:
            rng: PRNG key.
            params: parameters by node, instead of those from `init_params`.
            eps: the number of the episode.
            delays: delays of edges with an `AdjustableDelay`, seconds by reader and input, instead of those from
                `init_delays`.
        """
        if not 0 <= eps < self.timeline.num_episodes:
            raise RexError(f"eps {eps}: the timeline has episodes 0 to {self.timeline.num_episodes - 1}")
        return init_graph_state(self.system, rng, params, eps, delays=delays)

    def reset(self, graph_state: GraphState) -> tuple[GraphState, StepState]:
        """Starts the nodes and runs everything before the supervisor's first tick; returns what that tick sees.

        Raises:
            RexError: if a node's `startup` fails.
        """
        if not self._started:
            self._started = True
            start_nodes(self.system, graph_state)
        self._episode = int(graph_state.eps)
        self._queue, self._rest = self._in_turn()
        self._cursor = 0
        self._initial = graph_state.outputs
        self._outputs: dict[str, dict[int, PyTree]] = {name: {} for name in self.system.nodes}
        self._oldest = dict.fromkeys(self.system.edges, 0)
        self._clock = time.monotonic()
        if self.listener is not None:
            self.listener.begin(self._episode, graph_state)
        graph_state = self._run_to_supervisor(graph_state)
        return graph_state, self.step_state(graph_state)

    def step_state(self, graph_state: GraphState) -> StepState:
        """Returns what the supervisor sees at `graph_state.step`."""
        name, seq = self.system.supervisor, int(graph_state.step)
        return self._controller(_look)(*self._arguments(graph_state, name, seq, ()))[0]

    def step(self, graph_state: GraphState, step_state: StepState, output: PyTree) -> tuple[GraphState, StepState]:
        """Runs one step of the supervisor, whose output is given, and then everything that ends before its next tick.

        Args:
            graph_state: as returned by `reset` or `step`.
            step_state: that of the supervisor, with its new state, params and rng.
            output: what the supervisor sends.

        Returns:
            The system at the start of the supervisor's next tick, with the state of every other node after its newest
            tick that has ended; and what the supervisor then sees.

        Raises:
            RexError: past the last step of the episode, and for shapes or types that differ from those of init.
        """
        seq = int(graph_state.step)
        last = int(self.timeline.num_steps[self._episode])
        if seq >= last:
            raise RexError(f"the episode is over: its timeline offers {last} steps of '{self.system.supervisor}'")
        before = self.step_state(graph_state) if self.listener is not None else step_state
        name = self.system.supervisor
        own = before.replace(**{part: getattr(graph_state, part)[name] for part in ("rng", "params", "state")})
        own = own.replace(memory=graph_state.memory)
        step_state, output = conform_step(name, own, self._initial[name], (step_state, output))
        graph_state = self._finish(graph_state, name, seq, before, step_state, output)
        self._cursor += 1
        graph_state = graph_state.replace(step=graph_state.step + 1)
        graph_state = self._run_to_supervisor(graph_state)
        next_state = self.step_state(graph_state)
        if seq + 1 == last:
            self._run_rest(graph_state)
            if self.listener is not None:
                self.listener.end(self._episode, last)
        return graph_state, next_state

    def run(self, graph_state: GraphState, controller: StepFunction | None = None) -> GraphState:
        """Runs one step of the supervisor, by its own code or a controller, and then everything before its
        next tick.
        """
        name, seq = self.system.supervisor, int(graph_state.step)
        step = controller or self.system.nodes[name].step
        graph_state = with_memory(graph_state, controller)
        _, after, output = self._controller(step)(*self._arguments(graph_state, name, seq, self._initial[name]))
        return self.step(graph_state, after, output)[0]

    def stop(self) -> None:
        """Stops every node that was started, even if others fail.

        Raises:
            RexError: names the nodes whose `stop` failed.
        """
        if self._started:
            self._started = False
            stop_nodes(self.system)

    def _controller(self, step: StepFunction) -> NodeCall:
        if step not in self._controllers:
            self._controllers[step] = NodeCall(self.system.nodes[self.system.supervisor], step)
        return self._controllers[step]

    def _in_turn(self) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
        """Returns the ticks of the episode in the order in which they run, up to the supervisor's last; and those after
        it.

        Ticks that have ended when a supervisor tick starts run before it, ticks that are still running then run after
        it, so that a change of states in between, such as `Environment.before_step`, takes effect at that time.
        """
        names = [node.name for node in self.timeline.spec.nodes]
        timeline = self.timeline.select([self._episode])
        nodes, ticks = order(timeline, 0)
        own = nodes == names.index(self.system.supervisor)
        last = int(np.flatnonzero(own)[-1])
        cut = ticks.copy()
        for name, counts in ended(timeline).items():
            mine = nodes == names.index(name)
            cut[mine] = np.searchsorted(counts[0, : own.sum()], ticks[mine], side="right")
        limit = begun(timeline)
        runs = ticks < np.array([limit[name][0] for name in names])[nodes]
        turn = np.lexsort((np.arange(len(nodes)), own, cut))
        turn = turn[runs[turn]]
        queue = [(names[nodes[step]], int(ticks[step])) for step in turn]
        end = queue.index((self.system.supervisor, int(ticks[last])))
        return queue[: end + 1], queue[end + 1 :]

    def _run_to_supervisor(self, graph_state: GraphState) -> GraphState:
        while self._queue[self._cursor][0] != self.system.supervisor:
            graph_state = self._run_tick(graph_state, *self._queue[self._cursor])
            self._cursor += 1
        return graph_state

    def _run_rest(self, graph_state: GraphState) -> None:
        """Runs the ticks that started before the episode's end, so that the nodes and the listener get all of them."""
        for name, seq in self._rest:
            graph_state = self._run_tick(graph_state, name, seq)

    def _run_tick(self, graph_state: GraphState, name: str, seq: int) -> GraphState:
        arguments = self._arguments(graph_state, name, seq, self._initial[name])
        before, after, output = self._calls[name](*arguments)
        return self._finish(graph_state, name, seq, before, after, output)

    def _arguments(self, graph_state: GraphState, name: str, seq: int, sends: PyTree) -> tuple[Any, ...]:
        starts = self.timeline.steps[name].start[self._episode]
        start = int(starts[seq])
        self._pace(start)
        since = start - starts[seq - 1] if seq > 0 else period(self.timeline.spec.node(name).rate)
        windows = {edge.input: self._window(graph_state, edge, seq) for edge in self.system.inputs(name)}
        clock = (np.int32(self._episode), np.int32(seq), np.float32(start / 1e9), np.float32(since / 1e9))
        memory = graph_state.memory if name == self.system.supervisor else {}
        kept = graph_state.rng[name], graph_state.params[name], graph_state.state[name]
        return *kept, windows, *clock, sends, memory

    def _window(self, graph_state: GraphState, edge: Edge, seq: int) -> tuple[Any, ...]:
        newest = int(self._reads[edge.name][self._episode, seq]) - 1
        if isinstance(edge.delay, AdjustableDelay):
            delay = np.float32(graph_state.delays[edge.target][edge.input])
            return self._delayed_window(edge, edge.delay, delay, seq, newest)
        places = np.arange(newest - edge.window + 1, newest + 1)
        self._oldest[edge.name] = self._oldest_from(edge, int(places[0]))
        seqs = self._seqs(edge, places)
        arrive = self.timeline.messages[edge.name].arrive[self._episode]
        start = self.timeline.steps[edge.target].start[self._episode, seq]
        return (np.maximum(seqs, -1).astype(np.int32), *self._messages(edge, seqs, arrive, start))

    def _seqs(self, edge: Edge, places: np.ndarray) -> np.ndarray:
        """Returns the sequence numbers of the messages at some places of the reading order, below 0 in a gap."""
        reading = self._reading[edge.name]
        return places if reading is None else reading.at(places[None], [self._episode])[0]

    def _oldest_from(self, edge: Edge, place: int) -> int:
        """Returns the oldest message that is read at a place or later."""
        reading = self._reading[edge.name]
        return max(0, place) if reading is None else int(reading.oldest[self._episode, max(0, place)])

    def _messages(
        self, edge: Edge, seqs: np.ndarray, arrive: np.ndarray, start: np.int64
    ) -> tuple[Any, Any, Any, tuple[PyTree, ...]]:
        """Returns `ts_sent`, `ts_recv`, age at `start` and data of messages; the source's initial output for those
        below 0.
        """
        gap, at = seqs < 0, np.maximum(seqs, 0)
        sent, outputs = self.timeline.steps[edge.source].end[self._episode], self._outputs[edge.source]
        initial = self._initial[edge.source]
        data = tuple(initial if seq < 0 else outputs[seq] for seq in seqs.tolist())
        age = np.where(gap, start, start - _picked(sent, at))
        return _seconds(sent, at, gap), _seconds(arrive, at, gap), (age / 1e9).astype(np.float32), data

    def _delayed_window(
        self, edge: Edge, adjustable: AdjustableDelay, delay: np.float32, seq: int, newest: int
    ) -> tuple[Any, ...]:
        """Returns the window of an edge whose delay is a parameter: that of the timeline without what has not arrived
        yet.

        Messages are numbered in the order in which they are read, up to `newest`.
        """
        delay = np.clip(delay, np.float32(adjustable.low), np.float32(adjustable.high))
        sent = self.timeline.steps[edge.source].end[self._episode]
        start = self.timeline.steps[edge.target].start[self._episode, seq]

        def age(message: int) -> np.float32:
            seqs = self._seqs(edge, np.array([message]))
            return np.float32((start - sent[seqs[0]]) / 1e9)  # as the compiled program compares them

        def count(delay: np.float32) -> int:
            """Returns how many messages are old enough; they are the first ones, since none is older than the previous
            one.
            """
            return bisect_left(
                range(newer + 1), True, key=lambda i: bool(age(i) <= delay if edge.skip else age(i) < delay)
            )

        newer = newest
        self._oldest[edge.name] = self._oldest_from(edge, count(np.float32(adjustable.high)) - edge.window)
        newest = count(delay) - 1
        places = np.arange(newest - edge.window + 1, newest + 1)
        seqs = self._seqs(edge, places)
        there = seqs >= 0
        ts_sent, _, ages, data = self._messages(edge, seqs, sent, start)
        if adjustable.interpolation == "linear" and 0 <= newest < newer:
            share = linear_share(age(newest), age(newest + 1), delay)
            next_sent, _, next_ages, following = self._messages(edge, self._seqs(edge, places + 1), sent, start)
            shares = np.where(there, share, np.float32(0.0))
            ts_sent, ages = blend(ts_sent, next_sent, shares), blend(ages, next_ages, shares)
            data = tuple(
                blend(older, later, share) if real else older
                for older, later, real in zip(data, following, there.tolist(), strict=True)
            )
        elif adjustable.interpolation == "hold":
            reach = self._seqs(edge, np.arange(newest - edge.window + 1, newer + 1))
            all_sent, _, all_ages, messages = self._messages(edge, reach, sent, start)
            since = np.where(reach < 0, np.inf, all_ages)[edge.window - 1 :]
            shares = hold_shares(since, delay, 1 / self.system.specs[edge.target].rate)
            ts_sent = np.where(there, hold(all_sent, shares, edge.window), ts_sent)
            ages = np.where(there, hold(all_ages, shares, edge.window), ages)
            held = hold_floats(_stacked(data), _stacked(messages), shares)
            data = tuple(jax.tree.map(lambda leaf, place=place: leaf[place], held) for place in range(edge.window))
        ts_recv = np.where(there, ts_sent + delay, 0.0).astype(np.float32)
        return np.maximum(seqs, -1).astype(np.int32), ts_sent, ts_recv, ages, data

    def _finish(
        self, graph_state: GraphState, name: str, seq: int, before: StepState, after: StepState, output: PyTree
    ) -> GraphState:
        self._outputs[name][seq] = output
        self._forget(name)
        if self.listener is not None:
            self.listener.step(name, seq, before, after, output)
        return graph_state.replace(
            rng={**graph_state.rng, name: after.rng},
            params={**graph_state.params, name: after.params},
            state={**graph_state.state, name: after.state},
            memory=after.memory if name == self.system.supervisor else graph_state.memory,
        )

    def _forget(self, name: str) -> None:
        """Drops outputs that no later step of any reader can see."""
        kept = self._outputs[name]
        unread = next(reversed(kept)) + 1
        first = min((self._oldest[edge.name] for edge in self.system.outputs(name)), default=unread)
        while kept and (seq := next(iter(kept))) < first:
            del kept[seq]

    def _pace(self, start: int) -> None:
        if self.real_time_factor > 0:
            ahead = start / 1e9 / self.real_time_factor - (time.monotonic() - self._clock)
            if ahead > 0:
                time.sleep(ahead)


def start_nodes(system: System, graph_state: GraphState) -> None:
    """Calls every node's `startup`.

    Raises:
        RexError: names the first node that fails.
    """
    for name, node in system.nodes.items():
        if node.startup(graph_state) is False:
            raise RexError(f"node '{name}': startup failed")


def stop_nodes(system: System) -> None:
    """Calls every node's `stop`, even if others fail.

    Raises:
        RexError: names the nodes whose `stop` failed.
    """
    failed = []
    for name, node in system.nodes.items():
        try:
            if node.stop() is False:
                failed.append(f"'{name}' returned False")
        except Exception as error:
            failed.append(f"'{name}' raised {type(error).__name__}: {error}")
    if failed:
        raise RexError(f"stop failed: node {', node '.join(failed)}")


def _stacked(messages: Sequence[PyTree]) -> PyTree:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *messages)


def _seconds(times: np.ndarray, at: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Returns `times[at]` in seconds; 0 in a gap."""
    return np.where(gap, 0.0, _picked(times, at) / 1e9).astype(np.float32)


def _picked(times: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Returns `times[at]`; 0 if the source never ticks, so that there is only a gap."""
    return times[np.minimum(at, len(times) - 1)] if len(times) else np.zeros(at.shape)


def _look(step_state: StepState) -> tuple[StepState, PyTree]:
    return step_state, ()
