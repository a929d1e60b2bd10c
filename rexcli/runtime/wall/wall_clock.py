"""Runs a system's nodes in real time, for robots."""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping
from typing import Any

import jax

from rexcli import signals
from rexcli.config.schema import WallSettings
from rexcli.errors import DeclarationError, RexError
from rexcli.runs.recording import RecordingWriter
from rexcli.runtime.wall.emulation import Emulation, check_emulation, not_emulated
from rexcli.runtime.wall.message_queue import ReceivedMessage
from rexcli.runtime.wall.realtime import process_priority, short_switch_interval, why_no_priority
from rexcli.runtime.wall.realtime_call import Call, CallState, FusedCall, JittedCall, StepRequest, prepare
from rexcli.runtime.wall.recording_queue import RecordingQueue
from rexcli.runtime.wall.session import Outcome, Session, Watch
from rexcli.system.call import StepFunction, find_device
from rexcli.system.init import init_graph_state, with_memory
from rexcli.system.states import GraphState
from rexcli.system.system import System
from rexcli.timeline.phases import phases

PyTree = Any

SHARE_SECONDS = 3e-4
SHARE_OF_PERIOD = 0.2
SHARE_LOAD = 0.5
"""Nodes share a thread if a step takes no longer than the first two, and all of their steps no more of the time than
the last.
"""

log = logging.getLogger("rex.wall")


def check_system(system: System, settings: WallSettings) -> None:
    """Raises an error for what the wall clock cannot do: emulate a robot; or, without emulation, lose messages or draw
    delays.

    Raises:
        DeclarationError: names the first such node or edge.
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
    """Runs a system in real time.

    Args:
        system: the system to run.
        writer: the writer of the recording, or None. The caller closes it.
        controller: steps the supervisor; its own code if None.
        settings: the settings of the wall clock.
        seed: the seed of emulated delays.

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
        """Compiles, checks and warms up all steps that can be jitted; `run` does it if it has not been called.

        Raises:
            RexError: if a step returns another structure than it began with, or a device is missing.
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
        """Returns groups of nodes that share a thread and are usually due at the same time: nodes of one rate and phase
        that do not wait for each other, without the supervisor, with which an episode ends; none if delays are
        emulated."""
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
        """The duration of a step that `prepare` measured, by node; None if a trial might have had side effects."""
        return {name: call.seconds for name, call in self._calls.items()}

    @property
    def shared(self) -> list[str]:
        """The nodes that share a thread, once `prepare` has measured them: those declared so, and the fast ones of
        those with `thread: auto`."""
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
        """Starts the nodes, runs the episodes one after another, and stops the nodes.

        Args:
            rng: PRNG key; each episode folds its number in.
            episodes: number of episodes.
            steps: supervisor steps per episode; alternatively:
            seconds: length of an episode.
            params: parameters by node, instead of those from `init_params`.
            watch: called about every 10 ms with the running episode, in a thread that no step waits for.

        Returns:
            How the run ended: failures of nodes are not raised here, see `Outcome.check`.

        Raises:
            RexError: for errors before any node is started.
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
        session = Session(self.system, self._calls, self.shared, self._fused, self._recording, self.settings, watch)
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
