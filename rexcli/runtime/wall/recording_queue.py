"""Queues steps and messages between executors and the recording; they are converted to arrays when there is time."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rexcli.errors import RexError
from rexcli.runs.recording import RecordingWriter
from rexcli.runs.recording.writer import Channel
from rexcli.runtime.wall.message_queue import ReceivedMessage
from rexcli.runtime.wall.packing import Packing
from rexcli.runtime.wall.realtime_call import CallResult, clocks
from rexcli.system.paths import leaf_paths
from rexcli.system.states import InputState
from rexcli.system.system import System
from rexcli.system.types import is_key

PyTree = Any
AGE = 0.2
"""Seconds that an entry waits for an executor with time to write it."""
SLICE = 16
"""Number of entries that are written at a time."""
LARGE = 2**17
"""Bytes per step above which executors do not write the steps themselves."""


class RecordingQueue:
    """Collects the steps and messages of all executors, and writes them to a recording.

    A step whose result has packed fields is written at once. Other entries are written by an executor, its own or those
    of another, while no node has a step, so that writing delays no step. Entries for which no executor has time are
    written by `write_old`. Only one thread writes such entries at a time.

    Args:
        writer: the writer of the recording; None to discard everything.
        system: the system, whose record settings select the recorded fields.
    """

    def __init__(self, writer: RecordingWriter | None, system: System):
        self._writer = writer
        self._system = system
        self._queues: list[ExecutorQueue] = []
        self._channels: dict[str, Channel] = {}
        self._looked = 0.0
        self._writing = threading.Lock()

    @property
    def folder(self) -> Path | None:
        """The folder of the recording, if there is one."""
        return None if self._writer is None else self._writer.path.parent

    def wait_until_ready(self) -> None:
        """Waits until the recording has started, so that its start does not delay the first steps."""
        if self._writer is not None:
            self._writer.flush()

    def expect(self, packings: Mapping[str, Packing | None]) -> None:
        """Sets how the steps of each node are packed, by node.

        Raises:
            RexError: if an array does not hold numbers.
        """
        if self._writer is not None:
            known = {name: packing for name, packing in packings.items() if packing is not None}
            self._channels = {name: self._writer.channel(name, packing.fields) for name, packing in known.items()}

    def for_executor(self) -> ExecutorQueue:
        """Creates the queue of one more executor."""
        self._queues.append(ExecutorQueue(self._writer, self._system, self._channels, self.write_one))
        return self._queues[-1]

    def write_one(self) -> bool:
        """Writes one entry and returns True, unless another thread is writing or the caller would have to wait."""
        if self._writer is None or self._writer.crowded or not self._writing.acquire(blocking=False):
            return False
        try:
            queue = next((queue for queue in self._queues if queue.kept and not queue.large), None)
            if queue is not None:
                queue.write(1)
            return queue is not None
        finally:
            self._writing.release()

    def write_old(self) -> bool:
        """Writes some entries for which no executor had time; returns whether there are more."""
        if time.monotonic() - self._looked > AGE:
            self._looked = time.monotonic()
            for queue in self._queues:
                queue.old = len(queue.kept)
        left = False
        for queue in self._queues:
            if queue.old > 0 or queue.large:
                queue.old -= SLICE
                with self._writing:
                    left |= queue.write()
        return left

    def write_all(self) -> None:
        """Writes all entries, for instance at the end of an episode."""
        for queue in self._queues:
            with self._writing:
                while queue.write():
                    pass
        self._queues = []


class ExecutorQueue:
    """A `StepListener` for one executor. It stores references, since a node's arrays do not change after the step.

    Attributes:
        kept: entries that are not yet written.
        large: whether steps take so long to write that executors leave them to another thread.
        old: the number of entries in `kept` that have waited for longer than `AGE`.

    Args:
        writer, system: see `RecordingQueue`.
        channels: the channels of the nodes whose steps are packed.
        catch_up: writes one entry while an executor has nothing to do; returns whether it did.
    """

    def __init__(
        self,
        writer: RecordingWriter | None,
        system: System,
        channels: Mapping[str, Channel],
        catch_up: Callable[[], bool],
    ):
        self.kept: deque[tuple[Any, ...]] = deque()
        self.large = False
        self.old = 0
        self._writer = writer
        self._system = system
        self._channels = channels
        self._paths: dict[Any, tuple[str, ...]] = {}
        self.catch_up = catch_up
        self._inputs = {name: tuple(edge.input for edge in system.inputs(name)) for name in system.nodes}

    def message(self, episode: int, edge: str, message: ReceivedMessage, reader: int) -> None:
        if self._at_once:
            self._write_message(episode, edge, message, reader)
        elif self._writer is not None:
            self.kept.append((episode, edge, message, reader))

    def step(
        self,
        episode: int,
        node: str,
        seq: int,
        start: int,
        end: int,
        windows: Sequence[Sequence[ReceivedMessage]],
        done: CallResult | None,
    ) -> None:
        if self._writer is None:
            return
        if done is not None and done.packed is not None and self._at_once:
            self._writer.packed_step(self._channels[node], episode, seq, start, end, done.packed)
        else:
            kept = windows if self._system.specs[node].record.inputs else None
            self.kept.append((episode, node, seq, start, end, kept, done))

    @property
    def _at_once(self) -> bool:
        """Whether an entry may be written now: no older entry waits, and the caller would not have to wait."""
        return self._writer is not None and not self.kept and not self._writer.crowded

    def _write_message(self, episode: int, edge: str, message: ReceivedMessage, reader: int) -> None:
        if self._writer is not None:
            self._writer.message(episode, edge, message.seq, message.sent, message.arrived, reader)

    def write(self, most: int = SLICE) -> bool:
        """Passes at most `most` entries to the writer; returns whether any are left."""
        writer = self._writer
        if writer is None or writer.failed:
            self.kept.clear()
            return False
        for _ in range(most):
            try:
                note = self.kept.popleft()
            except IndexError:
                return False
            if len(note) == 4:
                self._write_message(*note)
            else:
                episode, node, seq, start, end, windows, done = note
                if done is not None and done.packed is not None:
                    writer.packed_step(self._channels[node], episode, seq, start, end, done.packed)
                    continue
                try:
                    writer.step(episode, node, seq, start, end, self._fields(node, start, windows, done))
                except RexError as error:
                    logging.getLogger("rex.recording").error("%s", error)
                    writer.step(episode, node, seq, start, end, {})
        return bool(self.kept)

    def _fields(
        self, node: str, start: int, windows: Sequence[Sequence[ReceivedMessage]] | None, done: CallResult | None
    ) -> dict[str, dict[str, np.ndarray]]:
        if done is None:
            return {}
        keep = self._system.specs[node].record
        fields = {}
        if keep.params:
            fields["params"] = self._arrays(done.kept.params)
        if keep.inputs and windows is not None:
            inputs = {name: _input(window, start) for name, window in zip(self._inputs[node], windows, strict=True)}
            fields["inputs"] = self._arrays(inputs)
        if keep.state:
            fields["state"] = self._arrays(done.kept.state)
        if keep.output:
            fields["output"] = self._arrays(done.output)
        if sum(array.nbytes for arrays in fields.values() for array in arrays.values()) > LARGE:
            self.large = True
        return fields

    def _arrays(self, tree: PyTree) -> dict[str, np.ndarray]:
        """Returns leaves by key path, as `recorder.arrays`; the paths of each structure are computed once."""
        leaves, structure = jax.tree.flatten(tree)
        if not leaves:
            return {}
        if structure not in self._paths:
            self._paths[structure] = tuple(leaf_paths(tree))
        return dict(zip(self._paths[structure], map(_numpy, leaves), strict=True))


def _input(window: Sequence[ReceivedMessage], start: int) -> InputState:
    data = jax.tree.map(lambda *leaves: np.stack([_numpy(leaf) for leaf in leaves]), *(m.data for m in window))
    seq, sent, received, age = clocks(window, start)
    return InputState(seq, sent, received, age, data)


def _numpy(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)
