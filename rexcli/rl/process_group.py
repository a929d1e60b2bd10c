"""Lets several processes share the seeds of one training: their seeds, their messages, and how they end together.

Process 0 leads: it sends work to the others, and they send back results. Messages are plain arrays, which are passed by
a `Store`: `rexcli.rl.distributed` has that of `jax.distributed`.

There is no mesh over all processes with collectives between them, because seeds share nothing, so there is nothing to
reduce, and a collective would make each wait for the slowest. On CPU (Gloo) an average of 4,096 numbers took 3 ms, 0.4
s for each update of the pendulum (`tests/benchmarks/bench_devices.py`), and a lost process aborted the others ten
seconds later in C++; here, a missing message is an error that names the lost process.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping
from typing import NoReturn, Protocol

import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError, RunError
from rexcli.runs.formats import encode_arrays

Message = dict[str, npt.NDArray]

PART = 2**24
"""The most bytes of a message that are sent as one value."""

LOOK_EVERY = 0.5
"""Seconds between checks whether another process has ended while waiting for a message."""


class Store(Protocol):
    """A key-value store of bytes that all processes share."""

    def put(self, key: str, value: bytes) -> None:
        """Adds a value; an existing value is not changed."""

    def take(self, key: str, seconds: float) -> bytes | None:
        """Waits for a value and removes it; returns None if it does not arrive in time."""

    def look(self, key: str) -> bytes | None:
        """Returns a value, or None if there is none yet."""

    def leave(self) -> None:
        """Waits until all processes have called it."""


class ProcessGroup:
    """The group of this process and the others.

    Attributes:
        index: the number of this process, from 0.
        count: the number of processes.
    """

    def __init__(self, index: int = 0, count: int = 1, store: Store | None = None):
        self.index, self.count = index, count
        self._store = store
        self._sent: Counter[int] = Counter()
        self._received: Counter[int] = Counter()

    @property
    def others(self) -> range:
        """All processes except process 0."""
        return range(1, self.count)

    def share(self, number: int, index: int | None = None) -> range:
        """Returns the seeds of a process, this one if None: consecutive, and as evenly distributed as possible."""
        index = self.index if index is None else index
        each, more = divmod(number, self.count)
        first = index * each + min(index, more)
        return range(first, first + each + (index < more))

    def check(self, number: int) -> None:
        """Raises an error if a process would have no seed.

        Raises:
            RexError: if there is fewer than one seed per process.
        """
        if number < self.count:
            raise RexError(
                f"distributed.processes={self.count}: ppo.num_seeds={number} leaves some without a seed; start "
                f"{number} process{'es' if number > 1 else ''}, or give ppo.num_seeds={self.count} or more"
            )

    def send(self, receiver: int, message: Mapping[str, npt.ArrayLike]) -> None:
        """Sends arrays to a process; returns at once. Messages to one process arrive in order."""
        key = f"{self.index}-{receiver}/{self._sent[receiver]}"
        self._sent[receiver] += 1
        data = encode_arrays(message)
        parts = [data[start : start + PART] for start in range(0, len(data), PART)]
        for number, part in enumerate(parts):
            self._out.put(f"{key}/{number}", part)
        self._out.put(f"{key}/parts", str(len(parts)).encode())

    def receive(self, sender: int) -> Message:
        """Returns the next message of a process, as soon as it has arrived.

        Raises:
            RexError: if a process has ended instead; the message has its error.
            KeyboardInterrupt: if it was interrupted.
        """
        key = f"{sender}-{self.index}/{self._received[sender]}"
        self._received[sender] += 1
        parts = int(self._wait(f"{key}/parts"))
        data = b"".join(self._wait(f"{key}/{number}") for number in range(parts))
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}

    def end(self, error: BaseException) -> None:
        """Tells all others that this process has ended; they learn it when they wait for a message."""
        if self._store is None:
            return
        text = str(error) if isinstance(error, RexError) else f"{type(error).__name__}: {error}"
        met = {
            "process": self.index,
            "interrupted": isinstance(error, KeyboardInterrupt),
            "text": " ".join(text.split()),
            "wrong": isinstance(error, RexError) and not isinstance(error, RunError),
        }
        self._store.put("end", json.dumps(met).encode())

    def leave(self) -> None:
        """Leaves the group once all processes have called it; nothing can be sent or received after it."""
        store, self._store = self._store, None
        if store is not None:
            store.leave()

    @property
    def _out(self) -> Store:
        if self._store is None:
            raise RunError(f"process {self.index} of {self.count} is not connected to the others")
        return self._store

    def _wait(self, key: str) -> bytes:
        while (value := self._out.take(key, LOOK_EVERY)) is None:
            if (end := self._out.look("end")) is not None:
                _raise(json.loads(end))
        return value


def _raise(end: Mapping[str, object]) -> NoReturn:
    if end["interrupted"]:
        raise KeyboardInterrupt
    raise (RexError if end["wrong"] else RunError)(f"process {end['process']}: {end['text']}")


ALONE = ProcessGroup()
"""The group of a single process."""
