"""The wall clock: a system's nodes in real time, for robots.

Whatever happens (a node that raises or hangs, NaN, Ctrl-C, SIGTERM), no further step starts, `stop` is called on every
node, and what happened so far is recorded. The thread that calls `WallClock.run` watches: it steps nothing itself.
"""

from __future__ import annotations

import gc
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax

from rexcli.config.schema import WallSettings
from rexcli.errors import DeclarationError, RexError, RunError
from rexcli.runs.recording import RecordingWriter
from rexcli.runtime import signals
from rexcli.runtime.wall.emulation import Emulation, check_emulation, not_emulated
from rexcli.runtime.wall.episode import Episode, Executor
from rexcli.runtime.wall.latency import LatencyStatistics, Punctuality
from rexcli.runtime.wall.message_queue import ReceivedMessage
from rexcli.runtime.wall.realtime import now, process_priority, short_switch_interval, why_no_priority
from rexcli.runtime.wall.realtime_call import Call, CallState, FusedCall, JittedCall, StepRequest, prepare
from rexcli.runtime.wall.recording_queue import RecordingQueue
from rexcli.runtime.wall.watchdog import SHORTEST, Watchdog
from rexcli.runtime.wall.workers import Worker, WorkerCall
from rexcli.system.call import StepFunction, find_device
from rexcli.system.init import init_graph_state, with_memory
from rexcli.system.states import GraphState
from rexcli.system.system import System
from rexcli.timeline.phases import phases

PyTree = Any
Watch = Callable[[Episode], None]

LEAD = 0.03
"""Seconds from the start of the executors to time 0."""
LOOK = 0.01
"""Seconds between two checks of the episode."""
PAUSE = 1e-3
"""Seconds between two slices of writing, if there is more: without them, threads pass the interpreter to and fro."""
SHARE_SECONDS = 3e-4
SHARE_OF_PERIOD = 0.2
SHARE_LOAD = 0.5
"""Nodes share a thread if a step takes no longer than these, and all of theirs no more of the time than that."""

log = logging.getLogger("rex.wall")


@dataclass(frozen=True)
class Outcome:
    """How a run on the wall clock ended.

    Attributes:
        error: None if it came to its end; what to raise otherwise: a `RunError`, or `KeyboardInterrupt`.
        stop_failures: nodes whose `stop` failed, a line each.
        episodes: begun.
        steps: supervisor steps made, in all episodes.
        seconds: that the episodes took.
        punctuality: by node.
        lateness: by node, ns from when the rules let a step start until it started, `[ticks]`.
        overruns: where delays are emulated, by node: steps that took longer than their declared delay.
    """

    error: BaseException | None
    stop_failures: tuple[str, ...]
    episodes: int
    steps: int
    seconds: float
    punctuality: tuple[Punctuality, ...]
    lateness: Mapping[str, Any]
    overruns: Mapping[str, int] = field(default_factory=dict)

    def check(self) -> Outcome:
        """Itself, if all went well.

        Raises:
            BaseException: `error`, or a `RunError` that names the nodes whose `stop` failed.
        """
        if self.error is not None:
            raise self.error
        if self.stop_failures:
            raise RunError(f"stop failed: {'; '.join(self.stop_failures)}")
        return self


def check_system(system: System, settings: WallSettings) -> None:
    """Refuses what the wall clock cannot do: emulate a robot; or, without emulation, lose messages on purpose or draw
    delays.

    Raises:
        DeclarationError: naming the first node or edge.
    """
    if settings.emulate:
        check_emulation(system)
        return
    if any(key.startswith("edges/") for key in system.posterior):
        fix = "on the wall clock delays are what they are, and are not drawn; leave it out, or give clock=simulated"
        raise DeclarationError("randomize.posterior", system.randomize.posterior, fix)
    for section in ("edges", "computation"):
        for name, entry in getattr(system.randomize, section).items():
            raise DeclarationError(
                f"randomize.{section}.{name}",
                entry,
                "on the wall clock delays are what they are, and are not drawn; leave it out, or give "
                "clock=simulated, or wall.emulate=true where all nodes are simulated",
            )
    for name, edge in system.edges.items():
        if edge.loss.share:
            raise DeclarationError(
                f"edges.{name}.loss",
                edge.loss,
                f"the wall clock loses no message on purpose, least of all a robot's; give edges.{name}.loss=0, or "
                "wall.emulate=true where all nodes are simulated",
            )


class WallClock:
    """A system in real time.

    Args:
        system: whose nodes.
        writer: of the recording, or None. The caller closes it.
        controller: steps the supervisor; its own code if None.
        settings: how to run.
        seed: from which emulated delays come.

    Raises:
        DeclarationError: see `check_system`.
    """

    def __init__(
        self,
        system: System,
        writer: RecordingWriter | None = None,
        *,
        controller: StepFunction | None = None,
        settings: WallSettings | None = None,
        seed: int = 0,
    ):
        self.system = system
        self.settings = settings or WallSettings()
        self.seed = seed
        check_system(system, self.settings)
        self._controller = controller
        self._recording = RecordingQueue(writer, system)
        self._calls: dict[str, Call] = {}
        self._fused: dict[tuple[str, ...], FusedCall] = {}

    def prepare(self, graph_state: GraphState) -> None:
        """Compiles, checks and warms up what can be jitted; `run` does it where it was not done.

        Raises:
            RexError: a step returns something else than it began with, or a device is not there.
        """
        graph_state = with_memory(graph_state, self._controller)
        several = any(find_device(node.spec.device, name) is not None for name, node in self.system.nodes.items())
        calls: dict[str, Call] = {}
        seen: dict[str, dict[str, list[ReceivedMessage]]] = {}
        for name, node in self.system.nodes.items():
            windows = seen[name] = {
                edge.input: [ReceivedMessage(-1, 0, 0, graph_state.outputs[edge.source])] * edge.window
                for edge in self.system.inputs(name)
            }
            calls[name] = prepare(
                node,
                self._controller if name == self.system.supervisor else None,
                CallState(
                    graph_state.rng[name],
                    graph_state.params[name],
                    graph_state.state[name],
                    graph_state.memory if name == self.system.supervisor else {},
                ),
                graph_state.outputs[name],
                windows,
                several_devices=several,
            )
            if self.settings.emulate and calls[name].seconds is None:
                raise not_emulated(name, "its step cannot be jitted, or calls back to Python")
        self._calls = calls
        self._recording.expect({name: call.packing for name, call in calls.items()})
        for names in self._due_together():
            jitted = [call for name in names if isinstance(call := calls[name], JittedCall)]
            requests = [
                StepRequest(
                    call.given(graph_state.rng[name], graph_state.params[name], graph_state.state[name], {}),
                    0,
                    0,
                    tuple(seen[name].values()),
                )
                for name, call in zip(names, jitted, strict=True)
            ]
            self._fused[names] = FusedCall(jitted, requests)
        gc.collect()

    def _due_together(self) -> list[tuple[str, ...]]:
        """Nodes that share a thread and are due at the same time as a rule: of one rate and phase, and none waits for
        another. Not the supervisor, with which an episode ends, and none whose delays are emulated one by one."""
        groups: dict[Any, list[str]] = {}
        phase = phases(self.system.timing)
        for name in self.shared if not self.settings.emulate else ():
            call = self._calls[name]
            if name != self.system.supervisor and isinstance(call, JittedCall):
                groups.setdefault((self.system.specs[name].rate, phase[name], call.device), []).append(name)
        sources = {name: {edge.source for edge in self.system.inputs(name) if edge.blocking} for name in self._calls}
        free = [[name for name in names if sources[name].isdisjoint(names)] for names in groups.values()]
        return [tuple(sorted(names)) for names in free if len(names) > 1]

    @property
    def step_seconds(self) -> dict[str, float | None]:
        """By node, what `prepare` measured of a step; None where a trial might have had side effects."""
        return {name: call.seconds for name, call in self._calls.items()}

    @property
    def shared(self) -> list[str]:
        """The nodes that share a thread, once `prepare` has measured them: those declared so, and of those that leave
        it to us, the quick ones."""
        specs = self.system.specs
        limit = min(SHARE_SECONDS, SHARE_OF_PERIOD / max(spec.rate for spec in specs.values()))
        measured = {name: call.seconds for name, call in self._calls.items() if call.seconds is not None}
        chosen = [name for name, spec in specs.items() if spec.thread == "shared"]
        load = sum(measured.get(name, 0.0) * specs[name].rate for name in chosen)
        known = {name: seconds for name, seconds in measured.items() if specs[name].thread == "auto"}
        for name in sorted(known, key=known.__getitem__):
            load += known[name] * specs[name].rate
            if known[name] <= limit and load <= SHARE_LOAD:
                chosen.append(name)
        return chosen

    def run(
        self,
        rng: jax.Array,
        *,
        episodes: int = 1,
        steps: int | None = None,
        seconds: float | None = None,
        params: Mapping[str, PyTree] | None = None,
        watch: Watch | None = None,
    ) -> Outcome:
        """Starts the nodes up, runs the episodes one after another, and stops the nodes.

        Args:
            rng: PRNG key; each episode folds its number in.
            episodes: how many.
            steps: supervisor steps an episode; or
            seconds: its length.
            params: parameters by node, in place of what `init_params` gives.
            watch: is called every 10 ms or so with the running episode, in a thread that no step waits for.

        Returns:
            How it ended: nothing that happens to the robot is raised, see `Outcome.check`.

        Raises:
            RexError: what is wrong before any node is started.
        """
        if (steps is None) == (seconds is None):
            raise RexError("give the length of an episode either as steps or as seconds")

        def begin(number: int) -> GraphState:
            start = init_graph_state(self.system, jax.random.fold_in(rng, number), params, number)
            return with_memory(start, self._controller)

        first = begin(0)
        if not self._calls:
            self.prepare(first)
        if (missing := why_no_priority(self.settings.priority)) is not None:
            log.warning("%s", missing)

        def emulation(number: int, start: GraphState) -> Emulation | None:
            if not self.settings.emulate:
                return None
            return Emulation(self.system, self.seed, number, start, steps=steps, seconds=seconds)

        drawn = emulation(0, first)  # compiled before any node is started
        self._recording.wait_until_ready()
        session = _Session(self.system, self._calls, self.shared, self._fused, self._recording, self.settings, watch)
        with (
            signals.request_stop_on_signal() as request,
            short_switch_interval(),
            process_priority(self.settings.priority),
        ):
            try:
                session.startup(first, request)
                for number in range(episodes):
                    if session.error is not None:
                        break
                    start = first
                    if number:
                        start = begin(number)
                        drawn = emulation(number, start)
                    session.episode(number, start, steps, seconds, request, drawn)
            except BaseException as error:
                session.error = session.error or error
            finally:
                session.stop()
                session.write_up()
        return session.outcome()


class _Session:
    """One run of a wall clock: its threads, its watchdog, its end."""

    def __init__(
        self,
        system: System,
        calls: Mapping[str, Call],
        shared: Sequence[str],
        fused: Mapping[tuple[str, ...], FusedCall],
        notes: RecordingQueue,
        settings: WallSettings,
        watch: Watch | None,
    ):
        self.system = system
        self.error: BaseException | None = None
        self._calls, self._shared, self._fused = calls, shared, fused
        self._recording, self._settings, self._watch = notes, settings, watch
        self._latencies = {
            name: LatencyStatistics(name, spec.rate, notes.folder) for name, spec in system.specs.items()
        }
        together = Worker("shared")
        self._workers = {name: together if name in shared else Worker(name) for name in system.nodes}
        self._writing = Worker("notes")
        self._now: Episode | None = None
        self._ended = False
        self._writing_up: WorkerCall | None = None
        self._busy: dict[str, WorkerCall] = {}
        self._stop_failures: list[str] = []
        self._episodes = self._steps = 0
        self._seconds = 0.0
        self._overruns: Counter[str] = Counter()

    def startup(self, graph_state: GraphState, request: signals.StopRequest) -> None:
        """Calls `startup` of every node, one after another."""
        self._writing_up = self._writing.submit(self._write)
        limit = self._settings.startup_timeout
        for name, node in self.system.nodes.items():
            job = self._busy[name] = self._workers[name].submit(partial(node.startup, graph_state))
            began = time.monotonic()
            while not job.wait(LOOK):
                if request.error is not None:
                    break
                if limit is not None and time.monotonic() - began > limit:
                    self.error = RunError(f"node '{name}': startup takes longer than wall.startup_timeout={limit:g} s")
                    break
            if request.error is not None:
                self.error = request.error
            elif job.error is not None:
                self.error = RunError(f"node '{name}': startup raised {type(job.error).__name__}: {job.error}")
                self.error.__cause__ = job.error
            elif job.done and job.result is False:
                self.error = RunError(f"node '{name}': startup failed: it returned False")
            if self.error is not None:
                return

    def episode(
        self,
        number: int,
        graph_state: GraphState,
        steps: int | None,
        seconds: float | None,
        request: signals.StopRequest,
        emulation: Emulation | None,
    ) -> None:
        """Runs one episode; `error` says if it was cut short."""
        self._recording.write_all()
        episode = Episode(
            number,
            self.system.timing,
            self._calls,
            self._latencies,
            self._shared,
            self._fused,
            graph_state,
            self._recording.for_executor,
            steps=steps,
            seconds=seconds,
            refuse_nan=self._settings.nan == "stop",
            spin=round(self._settings.spin * 1e9),
            priority=self._settings.priority,
            emulation=emulation,
        )
        self._episodes += 1
        self._now = episode
        began = now()
        episode.begin(began + round(LEAD * 1e9))
        jobs = []
        for executor in episode.executors:
            worker = self._workers[executor.nodes[0].name]
            jobs.append((executor, worker.submit(partial(episode.drive, executor))))
        for executor, job in jobs:
            self._busy |= {node.name: job for node in executor.nodes}
        try:
            self._attend(episode, jobs, request)
        finally:
            self._now = None
            episode.close()
            self._await_end(episode, jobs)
            episode.finish()
            self._steps += episode.steps_done
            self._seconds += max(0, episode.ended) / 1e9
            if emulation is not None:
                self._overruns.update(emulation.overruns)
            self.error = self.error or request.error or episode.error

    def _attend(self, episode: Episode, jobs: list[tuple[Executor, WorkerCall]], request: signals.StopRequest) -> None:
        """Waits for the episode's end, for a signal, or for a step that hangs."""
        watchdog = Watchdog(self._settings.watchdog)
        while not episode.closed:
            if request.error is not None:
                return
            if (hung := watchdog.hung(episode.running())) is not None:
                node, seconds = hung
                episode.close(
                    RunError(
                        f"node '{node.name}': step {node.tick} has not ended after {seconds:.3g} s, more than "
                        f"wall.watchdog={self._settings.watchdog or 0:g} periods of {node.period / 1e9:g} s"
                    )
                )
                return
            jobs[0][1].wait(LOOK)

    def _await_end(self, episode: Episode, jobs: list[tuple[Executor, WorkerCall]]) -> None:
        """Waits for the steps that still run, as long as the watchdog allows them."""
        began = time.monotonic()
        while any(not job.done for _, job in jobs):
            waited = time.monotonic() - began
            if all(job.done or self._is_lost(executor, episode, waited) for executor, job in jobs):
                return
            time.sleep(0.001)

    def _is_lost(self, executor: Executor, episode: Episode, waited: float) -> bool:
        """Whether an executor is not to be waited for: one of its steps has hung, or it does not end."""
        if waited > self._settings.stop_timeout + SHORTEST:
            return True
        limit = Watchdog(self._settings.watchdog).limit
        return any(node.executor is executor and ns / 1e9 > limit(node) for node, ns in episode.running())

    def stop(self) -> None:
        """Calls `stop` of every node, in order, whatever the others do; one that hangs delays the next by 0.2 s."""
        limit = self._settings.stop_timeout
        jobs: dict[str, WorkerCall] = {}
        last: dict[Worker, WorkerCall] = {self._workers[name]: job for name, job in self._busy.items()}
        with ExitStack() as ends:
            for name, node in self.system.nodes.items():
                worker = self._workers[name]
                if worker in last and not last[worker].done:
                    worker = Worker(f"{name}-stop")
                ends.callback(worker.close, 0.0)
                jobs[name] = last[worker] = worker.submit(node.stop)
                jobs[name].wait(min(SHORTEST, limit))
        until = time.monotonic() + limit
        for name, job in jobs.items():
            if not job.wait(max(0.0, until - time.monotonic())):
                self._stop_failures.append(f"node '{name}' does not end within wall.stop_timeout={limit:g} s")
            elif job.error is not None:
                self._stop_failures.append(f"node '{name}' raised {type(job.error).__name__}: {job.error}")
            elif job.result is False:
                self._stop_failures.append(f"node '{name}' returned False")
        for failure in self._stop_failures:
            log.error("stop failed: %s", failure)

    def write_up(self) -> None:
        """Writes all that is left to the recording."""
        self._ended = True
        if self._writing_up is not None:
            self._writing_up.wait()
        self._writing.close(0.0)
        self._recording.write_all()

    def _write(self) -> None:
        """Does what is not urgent in a thread of its own: writes to the recording and calls `watch`."""
        while not self._ended:
            episode = self._now
            left = self._recording.write_old()
            for latency in self._latencies.values():
                latency.move()
            if episode is not None and self._watch is not None:
                try:
                    self._watch(episode)
                except Exception:
                    log.exception("the live view failed")
                    self._watch = None
            time.sleep(PAUSE if left else LOOK)

    def outcome(self) -> Outcome:
        return Outcome(
            error=self.error,
            stop_failures=tuple(self._stop_failures),
            episodes=self._episodes,
            steps=self._steps,
            seconds=self._seconds,
            punctuality=tuple(latency.summary() for latency in self._latencies.values()),
            lateness={name: latency.late.all() for name, latency in self._latencies.items()},
            overruns=dict(self._overruns),
        )
