"""Turns an exception into one line on stderr and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from rexcli.config.project import PACKAGE
from rexcli.errors import INTERRUPTED, RexError, RunError, describe, own_frames
from rexcli.runs.storage import FULL, disk_full

DONE, FAILED, WRONG = 0, 1, 2
"""Exit codes: done; a run failed; the input is wrong. An interrupted command exits with 130, or 143 by SIGTERM."""

_interruptions: list[BaseException] = []
"""Interruptions, kept with their tracebacks until the process ends: what JAX was doing is not safe to free."""


def of_files(error: OSError) -> OSError | RexError:
    """Turns an operating system error about a file or folder that a person named into one that says what to do.

    An error raised in the project's own code stays as it is, since the line of code helps more there.
    """
    if error.errno in FULL:
        return disk_full(error.filename or "output", error.errno)
    own = own_frames(error)
    if not error.filename or not own or not Path(own[-1].filename).is_relative_to(PACKAGE):
        return error
    return RexError(f"{error.filename}: {error.strerror}; give a file or folder that can be read and written")


def of_memory(error: BaseException) -> BaseException:
    """Turns an error of Python or XLA for lack of memory into one that says what to do."""
    if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error)[:100]:
        return error
    return RunError(f"memory does not suffice ({error or 'of this process'}); give fewer, shorter or smaller ones")


def exit_code(error: BaseException) -> int:
    """Returns the exit code of a command that ended with `error`."""
    if isinstance(error, KeyboardInterrupt):
        return getattr(error, "exit_code", INTERRUPTED)
    return error.exit_code if isinstance(error, RexError) else FAILED


def report(error: BaseException) -> int:
    """Prints `error` as one line (with `REX_TRACEBACK=1`: its traceback too).

    Returns:
        The exit code.
    """
    if isinstance(error, KeyboardInterrupt):
        _interruptions.append(error)
    if os.environ.get("REX_TRACEBACK") == "1":
        traceback.print_exception(error, file=sys.stderr)
    error = of_files(error) if isinstance(error, OSError) else of_memory(error)
    hint = "" if isinstance(error, RexError | KeyboardInterrupt) else "; REX_TRACEBACK=1 shows more"
    print(
        f"error: {describe(error)}{hint}" if not isinstance(error, KeyboardInterrupt) else describe(error),
        file=sys.stderr,
    )
    return exit_code(error)
