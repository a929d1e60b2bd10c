"""From an exception to one line on stderr and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from rexcli.errors import RexError, Terminated

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: done; a run failed; what was typed or declared is wrong; interrupted (by SIGTERM: 143)."""

LONGEST = 800
"""Characters of a message."""

_interruptions: list[BaseException] = []
"""Kept, with all that their tracebacks hold, until the process ends: what JAX was interrupted in the midst of is not
safe to free."""


def exit_code(error: BaseException) -> int:
    """The exit code of a command that ended with `error`."""
    if isinstance(error, KeyboardInterrupt):
        return getattr(error, "exit_code", INTERRUPTED)
    return error.exit_code if isinstance(error, RexError) else FAILED


def describe(error: BaseException) -> str:
    """`error` as one line; for an exception that is not ours, with the line of code that raised it."""
    if isinstance(error, KeyboardInterrupt):
        return "terminated" if isinstance(error, Terminated) else "interrupted"
    text = " ".join(str(error).split())
    if len(text) > LONGEST:  # what was typed is echoed, however long it is
        text = f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"
    if isinstance(error, RexError):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename and "<" not in frame.filename]
    place = ""
    if own:
        path = Path(own[-1].filename)
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        place = f" ({shown}:{own[-1].lineno})"
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"


def report(error: BaseException) -> int:
    """Prints `error` as one line (with `REX_TRACEBACK=1`: its traceback too).

    Returns:
        The exit code.
    """
    if isinstance(error, KeyboardInterrupt):
        _interruptions.append(error)
    if os.environ.get("REX_TRACEBACK") == "1":
        traceback.print_exception(error, file=sys.stderr)
    hint = "" if isinstance(error, RexError | KeyboardInterrupt) else "; REX_TRACEBACK=1 shows more"
    print(
        f"error: {describe(error)}{hint}" if not isinstance(error, KeyboardInterrupt) else describe(error),
        file=sys.stderr,
    )
    return exit_code(error)
