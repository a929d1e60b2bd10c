"""Runs a session on the wall clock: its episodes, its threads, its watchdog, and its end.

After any failure (a node that raises or hangs, NaN, Ctrl-C, SIGTERM), no further step starts, `stop` is called on every
node, and everything up to then is recorded. The thread of the session only monitors the others and makes no steps.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rexcli import signals
from rexcli.config.schema import WallSettings
from rexcli.errors import RunError
from rexcli.runtime.wall.emulation import Emulation
from rexcli.runtime.wall.episode import Episode, Executor
from rexcli.runtime.wall.latency import LatencyStatistics, Punctuality
from rexcli.runtime.wall.realtime import now
from rexcli.runtime.wall.realtime_call import Call, FusedCall
from rexcli.runtime.wall.recording_queue import RecordingQueue
from rexcli.runtime.wall.watchdog import SHORTEST, Watchdog
from rexcli.runtime.wall.workers import Worker, WorkerCall
from rexcli.system.states import GraphState
from rexcli.system.system import System

PyTree = Any
Watch = Callable[[Episode], None]

LEAD = 0.03
"""Seconds from the start of the executors to time 0."""
LOOK = 0.01
"""Seconds between two checks of the episode."""
PAUSE = 1e-3
"""Seconds between two slices of writing, if there is more: without a pause, threads compete for the
interpreter lock.
"""
log = logging.getLogger("rex.wall")


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run on the wall clock.

    Attributes:
        error: None if the run ended normally, otherwise the error to raise: a `RunError`, or `KeyboardInterrupt`.
        stop_failures: a line for each node whose `stop` failed.
        episodes: number of episodes begun.
        steps: number of supervisor steps made in all episodes.
        seconds: duration of all episodes.
        punctuality: the punctuality of each node.
        lateness: by node, ns from when a step was due until it started, `[ticks]`.
        overruns: if delays are emulated, the number of steps that took longer than their declared delay, by node.
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
        """Returns itself, if there was no failure.

        Raises:
            BaseException: `error`, or a `RunError` that names the nodes whose `stop` failed.
        """
        if self.error is not None:
            raise self.error
        if self.stop_failures:
            raise RunError(f"stop failed: {'; '.join(self.stop_failures)}")
        return self


class Session:
    """Starts the nodes, runs episodes one after another, stops the nodes and completes the recording."""

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
        """Runs one episode; sets `error` if it was cut short."""
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
        """Returns whether not to wait for an executor: one of its steps hangs, or it does not end."""
        if waited > self._settings.stop_timeout + SHORTEST:
            return True
        limit = Watchdog(self._settings.watchdog).limit
        return any(node.executor is executor and ns / 1e9 > limit(node) for node, ns in episode.running())

    def stop(self) -> None:
        """Calls `stop` of every node, in order, even if others fail; one that hangs delays the next by 0.2 s."""
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
        """Writes all remaining entries to the recording."""
        self._ended = True
        if self._writing_up is not None:
            self._writing_up.wait()
        self._writing.close(0.0)
        self._recording.write_all()

    def _write(self) -> None:
        """Writes to the recording and calls `watch`, in a background thread."""
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
