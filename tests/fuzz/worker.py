"""The process in which cases run, one after another: it reads JSON lines from its standard input.

A request is `{"words", "reader", "out", "err"}`: a command line, whether it is one of `tests.fuzz.readers`, and two
files for what it prints. The answer, a line on the pipe that its first argument numbers, is `{"code", "seconds",
"memory"}`.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

LIMIT = 6 * 2**30
"""Bytes of address space that cases may add; more than `case.MEMORY`, of which not all that is asked for is used."""


def main() -> None:
    answers = os.fdopen(int(sys.argv[1]), "w")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    jax.numpy.zeros(1).block_until_ready()
    size = _status("VmSize")
    if size:
        resource.setrlimit(resource.RLIMIT_AS, (size + LIMIT, size + LIMIT))
    print("{}", file=answers, flush=True)
    for number, line in enumerate(sys.stdin):
        if number % 50 == 0:
            gc.collect()
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


def answer(request: dict) -> dict:
    """Runs one case."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, began = _status("VmRSS"), time.process_time()
    code = _redirected(request)
    return {"code": code, "seconds": time.process_time() - began, "memory": max(0, _status("VmHWM") - before)}


def _redirected(request: dict) -> int:
    saved = os.dup(1), os.dup(2)
    for number, name in ((1, "out"), (2, "err")):
        target = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(target, number)
        os.close(target)
    try:
        return _run(request)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, number)
            os.close(copy)


def _run(request: dict) -> int:
    from rexcli.cli.main import main

    try:
        if request["reader"]:
            from tests.fuzz.readers import read

            return read(*request["words"])
        return main(request["words"])
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
        return -1


def _status(name: str) -> int:
    """Bytes, from /proc/self/status; 0 where there is none."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])
    return 0


if __name__ == "__main__":
    main()
