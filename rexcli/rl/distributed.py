"""Connects the processes of a training by `jax.distributed`, and ensures that none waits forever.

Only the coordination service of `jax.distributed` is used, in process 0: the list of processes, a key-value store for
messages, and heartbeats. Nothing is computed across processes: each trains on its own devices.

If a process does not connect in time, or sends no more heartbeats, the service aborts all others from a C++ thread. So
waiting is limited here, in Python, and `rexcli.rl.captured_stderr` turns an abort into one line. Checkpoints are
complete at any time: training until the last one is kept, and can be resumed from it.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import jax

from rexcli.config.schema import DistributedConfig
from rexcli.errors import RexError, RunError
from rexcli.rl.captured_stderr import REFUSED, CapturedStderr
from rexcli.rl.process_group import ALONE, ProcessGroup

HEARTBEAT = 60
"""Seconds without a heartbeat after which a process counts as lost (`distributed.timeout` if that is less)."""

NO_TIMEOUT = 7 * 24 * 3600
"""Seconds after which JAX itself would end a wait and the process: so long that this never happens first."""

KEYS = "rexcli"
"""The folder of our keys in the store."""


@contextmanager
def join(settings: DistributedConfig, num_seeds: int | None = None) -> Iterator[ProcessGroup]:
    """Yields the group of this process, before its first computation. If the block ends, it ends for all processes.

    Args:
        settings: the addresses of the processes; see `DistributedConfig`.
        num_seeds: the number of seeds, if it is known, so that a superfluous process is found before it connects.

    Raises:
        RexError: if settings contradict each other, or not all processes connect within `settings.timeout`.
    """
    check(settings)
    if settings.coordinator is None:
        yield ALONE
        return
    if num_seeds is not None and settings.processes is not None:
        ProcessGroup(0, settings.processes).check(num_seeds)
    with CapturedStderr() as messages:
        group = _connect(settings, messages)
        try:
            yield group
        except BaseException as error:
            group.end(error)
            raise
        finally:
            group.leave()


def check(settings: DistributedConfig) -> None:
    """Raises an error for settings that contradict each other.

    Raises:
        RexError: names the key, its value and the fix.
    """
    where, count, number = settings.coordinator, settings.processes, settings.process
    if where is None:
        for key, value in (("processes", count), ("process", number)):
            if value is not None:
                raise RexError(
                    f"distributed.{key}={value}: the others are not to be found; give distributed.coordinator too"
                )
        return
    if where != "auto":
        if not re.fullmatch(r"\S+:\d{1,5}", where):
            raise RexError(f"distributed.coordinator={where}: give process 0's host:port, or auto")
        for key, value in (("processes", count), ("process", number)):
            if value is None:
                fix = "how many there are" if key == "processes" else "each its number, from 0"
                raise RexError(f"distributed.{key} is missing: give {fix} (only coordinator=auto knows it by itself)")
    if count is not None and number is not None and number >= count:
        raise RexError(
            f"distributed.process={number}: distributed.processes={count}; give each a number from 0 to {count - 1}"
        )


def _connect(settings: DistributedConfig, messages: CapturedStderr) -> ProcessGroup:
    where = settings.coordinator
    assert where is not None
    _check_address(settings)
    jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM for itself
    auto = where == "auto"

    def meet() -> None:
        jax.distributed.initialize(
            None if auto else where,
            settings.processes,
            settings.process,
            cluster_detection_method=None if auto else "deactivate",
            initialization_timeout=NO_TIMEOUT,
            heartbeat_timeout_seconds=int(min(settings.timeout, HEARTBEAT)),
            shutdown_timeout_seconds=NO_TIMEOUT,
        )
        jax.local_devices()  # JAX lists the devices of all processes when it first looks for its own

    try:
        _within(settings.timeout, meet)
    except (TimeoutError, KeyboardInterrupt) as error:
        messages.forget()
        if isinstance(error, KeyboardInterrupt):
            raise
        raise RexError(f"distributed.coordinator={where}: {_absent(settings)}") from None
    except ValueError as error:
        if not auto:
            raise
        raise RexError(
            "distributed.coordinator=auto: JAX finds no cluster such as SLURM or Open MPI here; start this under srun "
            f"or mpirun, or give host:port, distributed.processes and distributed.process ({error})"
        ) from None
    except jax.errors.JaxRuntimeError as error:
        messages.forget()
        raise RexError(f"distributed.coordinator={where}: {REFUSED} ({str(error).partition(chr(10))[0]})") from None
    index, count = jax.process_index(), jax.process_count()
    messages.expect(index)
    return ProcessGroup(index, count, _JaxStore(settings.timeout, messages))


def _check_address(settings: DistributedConfig) -> None:
    """Raises an error for addresses with which JAX would crash: a host without an address, a port that is in use."""
    where = settings.coordinator
    if where is None or where == "auto":
        return
    host, _, port = where.rpartition(":")
    try:
        if settings.process == 0:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("", int(port)))
        else:
            socket.getaddrinfo(host.strip("[]"), int(port))
    except socket.gaierror as error:
        raise RexError(f"distributed.coordinator={where}: host {host} has no address ({error.strerror})") from None
    except (OSError, OverflowError) as error:
        raise RexError(
            f"distributed.coordinator={where}: process 0 cannot listen on port {port} ({error}); give another port"
        ) from None


def _absent(settings: DistributedConfig) -> str:
    """Returns why not all processes connected within `settings.timeout`."""
    seconds, all_of = f"{settings.timeout:g} s", f"all of the {settings.processes}" if settings.processes else "all"
    host, _, port = (settings.coordinator or "").rpartition(":")
    missing = f"not {all_of} processes came within {seconds}; start every one, numbered from 0"
    if settings.process in (0, None) or not host:
        return missing
    try:
        socket.create_connection((host.strip("[]"), int(port)), 2.0).close()
    except OSError as error:
        return (
            f"process 0 was not reached within {seconds} ({error.strerror or error}); is it started, and is its port "
            "open to this machine?"
        )
    return missing


def _within(seconds: float, function: Callable[[], Any]) -> None:
    """Calls a function that does not react to Ctrl-C in a thread, and waits for it for at most `seconds`.

    Raises:
        TimeoutError: if the time is over; the thread is abandoned.
    """
    raised: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    end = time.monotonic() + seconds
    while thread.is_alive():
        thread.join(0.1)
        if time.monotonic() > end:
            raise TimeoutError
    if raised:
        raise raised[0]


class _JaxStore:
    """The key-value store of `jax.distributed`, which has no public interface yet: Orbax uses the same one."""

    def __init__(self, timeout: float, messages: CapturedStderr):
        from jax._src.distributed import global_state

        self._client: Any = global_state.client
        self._timeout, self._messages = timeout, messages

    def put(self, key: str, value: bytes) -> None:
        with suppress(jax.errors.JaxRuntimeError):  # it is there
            self._client.key_value_set_bytes(f"{KEYS}/{key}", value)

    def take(self, key: str, seconds: float) -> bytes | None:
        try:
            value: bytes = self._client.blocking_key_value_get_bytes(f"{KEYS}/{key}", int(seconds * 1000))
        except jax.errors.JaxRuntimeError as error:
            if "DEADLINE_EXCEEDED" in str(error):
                return None
            raise RunError(self._messages.lost()) from None
        self._client.key_value_delete(f"{KEYS}/{key}")
        return value

    def look(self, key: str) -> bytes | None:
        try:
            value: bytes = self._client.key_value_try_get_bytes(f"{KEYS}/{key}")
        except jax.errors.JaxRuntimeError:
            return None
        return value

    def leave(self) -> None:
        try:
            _within(self._timeout, jax.distributed.shutdown)
        except TimeoutError:  # some are still busy; if C++ aborts this process because of that, a message says why
            self._messages.stay()
        self._messages.close()
