"""From an exception to one line on stderr and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from rexcli.config.project import PACKAGE
from rexcli.errors import INTERRUPTED, RexError, RunError, describe, own_frames
from rexcli.runs.storage import FULL, disk_full

DONE, FAILED, WRONG = 0, 1, 2
"""Exit codes: done; a run failed; what was typed or declared is wrong. Interrupted: 130, by SIGTERM 143."""

_interruptions: list[BaseException] = []
"""Kept, with all that their tracebacks hold, until the process ends: what JAX was interrupted in the midst of is not
safe to free."""


def of_files(error: OSError) -> OSError | RexError:
    """What the system says of a file or folder that a person named, as an error that says what to do.

    What code of a project's own met stays as it is, for there the line of code helps more.
    """
    if error.errno in FULL:
        return disk_full(error.filename or "output", error.errno)
    own = own_frames(error)
    if not error.filename or not own or not Path(own[-1].filename).is_relative_to(PACKAGE):
        return error
    return RexError(f"{error.filename}: {error.strerror}; give a file or folder that can be read and written")


def of_memory(error: BaseException) -> BaseException:
    """What Python or XLA says where memory does not suffice, as an error that says what to do."""
    if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error)[:100]:
        return error
    return RunError(f"memory does not suffice ({error or 'of this process'}); give fewer, shorter or smaller ones")


def exit_code(error: BaseException) -> int:
    """The exit code of a command that ended with `error`."""
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
