"""Connects encoder and motor to the pendulum by datagrams on this machine, one at a time, each with its answer."""

from __future__ import annotations

import importlib.util
import socket
import struct
import subprocess
import sys
import threading
import time

from nodes.pendulum import plant
from rexcli import RexError


class Bus:
    """A node's connection to the plant.

    The first one opened in a process starts the plant, and the last one closed ends it.

    Args:
        port: port of a running plant; 0 for one that this process starts.
        name: name of the plant to start, one of `nodes.pendulum.plant.PLANTS`.
        seed: seed of the plant's delays and noise.

    Raises:
        RexError: there is no such plant, this process runs another one, or the plant does not start.
    """

    _lock = threading.Lock()
    _process: subprocess.Popen[bytes] | None = None
    _kind = ("", 0)
    _port = 0
    _users = 0

    def __init__(self, port: int = 0, name: str = "real", seed: int = 0):
        if name not in plant.PLANTS:
            raise RexError(f"plant '{name}': there is no such; give {' or '.join(plant.PLANTS)}")
        self._own = port == 0
        if self._own:
            port = self._start(name, seed)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect((plant.HOST, port))
        self._number = 0

    def ask(self, kind: bytes, value: float, answer: struct.Struct, timeout: float) -> tuple[float, ...]:
        """Sends a message and waits for its answer; returns the values after the answer's number.

        Raises:
            RexError: there is no answer in time.
        """
        self._number += 1
        until = time.monotonic() + timeout
        try:
            self._socket.send(plant.COMMAND.pack(kind, self._number, value))
            while (left := until - time.monotonic()) > 0:
                self._socket.settimeout(left)
                message = self._socket.recv(64)
                if len(message) == answer.size:
                    _, number, *values = answer.unpack(message)
                    if number == self._number:
                        return tuple(values)
        except OSError as error:
            raise RexError(f"the plant does not answer: {error}; see that it runs") from None
        raise RexError(f"the plant does not answer within {timeout:g} s; see that it runs")

    def close(self) -> None:
        """Closes the connection. A second call does nothing."""
        if self._socket.fileno() < 0:
            return
        self._socket.close()
        if self._own:
            with Bus._lock:
                Bus._users -= 1
                if Bus._users == 0 and Bus._process is not None:
                    _end(Bus._process)
                    Bus._process = None

    @classmethod
    def _start(cls, name: str, seed: int) -> int:
        """Returns the port of this process's plant, which is started if it does not run."""
        with cls._lock:
            if cls._process is None or cls._process.poll() is not None:
                if importlib.util.find_spec("mujoco") is None:
                    raise RexError("the plant needs MuJoCo: pip install 'rexcli[mujoco]'")
                process = subprocess.Popen(
                    [sys.executable, "-P", plant.__file__, "--plant", name, "--seed", str(seed)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    start_new_session=True,  # Ctrl-C is for whoever started it, who then stops the motor
                )
                assert process.stdout is not None
                line = process.stdout.readline()
                if not line.strip().isdigit():
                    _end(process)
                    raise RexError(f"the plant did not start; `python {plant.__file__}` says why")
                cls._process, cls._port, cls._users, cls._kind = process, int(line), 0, (name, seed)
            elif cls._kind != (name, seed):
                running, its_seed = cls._kind
                raise RexError(
                    f"plant '{name}' with seed {seed}: '{running}' with seed {its_seed} runs already; give the sensor "
                    "and the actuator the same `plant` and `seed`"
                )
            cls._users += 1
            return cls._port


def started(bus: Bus | None, node: str) -> Bus:
    """Returns the connection of a node that was started.

    Raises:
        RexError: the node was not started, since something other than the wall clock steps it.
    """
    if bus is None:
        raise RexError(
            f"node '{node}' is hardware, which steps on clock=wall alone; to go on from what it recorded, take an "
            "experiment with a simulated one in its place, as in conf=pendulum from=RUN"
        )
    return bus


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(2.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
