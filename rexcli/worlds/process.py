"""Runs MuJoCo in a process of its own, connected by two pipes, so that a crash does not end the run's process.

The process reads a line of JSON that says what to step, then one request after another, as float32 numbers whose count
both sides know.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from rexcli.errors import RunError
from rexcli.worlds.engines import CEngine, Physics
from rexcli.worlds.model import BUNDLED, Model
from rexcli.worlds.quantities import Parameter, parameter


class ProcessEngine:
    """A `CEngine` in a process of its own, which ends when this object is deleted.

    Args:
        model: the model to step.
        parameters: the parameters that may change.
    """

    def __init__(self, model: Model, parameters: Sequence[Parameter]):
        self._sizes = sizes_of(model)
        said = {
            "path": str(model.path.resolve()),
            "timestep": model.timestep,
            "motors": dict(model.motors),
            "parameters": [[each.name, list(each.sources)] for each in parameters],
        }
        command = [sys.executable, "-P", "-c", "from rexcli.worlds import process; process.main()"]
        path = os.pathsep.join([str(BUNDLED), *filter(None, [os.environ.get("PYTHONPATH")])])
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is meant for the parent process
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self._to, self._of, self._process = process.stdin, process.stdout, process
        weakref.finalize(self, _end, process)
        self._ask(json.dumps(said).encode() + b"\n", 1)

    def step(
        self, values: Sequence[Any], physics: Physics, ctrl: Any, time: Any, substeps: int
    ) -> tuple[Physics, np.ndarray]:
        """Does what `CEngine.step` does.

        Raises:
            RunError: the process is gone.
        """
        numbers = [np.ravel(each) for each in (substeps, time, ctrl, *physics, *values)]
        answer = self._ask(np.concatenate(numbers).astype(np.float32).tobytes(), 4 * sum(self._sizes))
        *state, sensors = np.split(np.frombuffer(answer, np.float32), np.cumsum(self._sizes)[:-1])
        return Physics(*state), sensors

    def _ask(self, request: bytes, size: int) -> bytes:
        try:
            self._to.write(request)
            self._to.flush()
            answer = self._of.read(size)
        except (OSError, ValueError):
            answer = b""
        if len(answer) < size:
            raise RunError(f"the process that steps the world ended with code {self._process.poll()}")
        return answer


def sizes_of(model: Model) -> list[int]:
    """Returns the sizes of `qpos`, `qvel`, `act`, `warmstart` and `sensordata`."""
    mj = model.mj
    return [mj.nq, mj.nv, mj.na, mj.nv, mj.nsensordata]


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answers requests until there are no more."""
    said = json.loads(requests.readline())
    model = Model(Path(said["path"]), said["timestep"], said["motors"])
    parameters = [parameter(model, name, sources, name) for name, sources in said["parameters"]]
    engine = CEngine(model, parameters)
    sizes = [1, 1, model.mj.nu, *sizes_of(model)[:-1], *(each.value.size for each in parameters)]
    places = np.cumsum(sizes)[:-1]
    answers.write(b"+")
    answers.flush()
    while len(request := requests.read(4 * sum(sizes))) == 4 * sum(sizes):
        substeps, time, ctrl, *rest = np.split(np.frombuffer(request, np.float32), places)
        values = [value.reshape(each.value.shape) for value, each in zip(rest[4:], parameters, strict=True)]
        state, sensors = engine.step(values, Physics(*rest[:4]), ctrl, time[0], int(substeps[0]))
        answers.write(np.concatenate([*state, sensors]).astype(np.float32).tobytes())
        answers.flush()


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # errors of data that could not be written any more
                pipe.close()
    try:
        process.wait(2.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main() -> None:
    """Runs the process."""
    serve(sys.stdin.buffer, sys.stdout.buffer)
