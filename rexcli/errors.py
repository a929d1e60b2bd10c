"""Defines the errors that are shown to the user.

Every mistake in what the user typed or declared is a `RexError`: its message names the key, its value and the fix, and
the command line prints it as one line, without a traceback.
"""

import sysconfig
import traceback
from functools import partial
from pathlib import Path
from typing import Any

INTERRUPTED = 130
"""The exit code after Ctrl-C."""

LONGEST = 800
"""The most characters of a message."""


class RexError(Exception):
    """Something typed or declared is wrong. `str(error)` is a complete message that says what to do."""

    exit_code = 2


class DeclarationError(RexError):
    """A key of a declared system is wrong, in YAML or in Python.

    Args:
        keys: the dotted path in YAML, such as `edges.sensor_agent.window`; several if one of them has to be changed.
        value: the value of the first key.
        fix: what to give instead.
        message: the whole message, instead of `key=value: fix`.
    """

    def __init__(self, keys: str | tuple[str, ...], value: object = None, fix: str = "", *, message: str = ""):
        self.keys = (keys,) if isinstance(keys, str) else keys
        super().__init__(message or f"{self.keys[0]}={shown(value)}: {fix}")

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(DeclarationError, message=str(self)), (self.keys,)


class RunError(RexError):
    """Something that was declared correctly failed while it ran: a node that raised, hung or failed to start."""

    exit_code = 1


class WriteError(RunError):
    """A file cannot be written: the disk is full, or the user has no right to write there."""


class Terminated(KeyboardInterrupt):
    """SIGTERM ended the run, after it was stopped as on Ctrl-C."""

    exit_code = 143


def shown(value: object) -> str:
    """Returns a value as it would be typed in YAML, shortened."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = (f"{value:g}" if isinstance(value, float) else str(value)).replace("\n", " ")
    return text if len(text) <= 60 else text[:57] + "…"


def suggest(word: str, known: list[str]) -> str:
    """Returns `"; did you mean 'rate'?"` for the closest of `known`, else `"; known: …"`."""
    import difflib

    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(known)}" if known else ""


def describe(error: BaseException) -> str:
    """Returns `error` as one line; for an exception of another package, with the line of code that raised it."""
    if isinstance(error, KeyboardInterrupt):
        return "terminated" if isinstance(error, Terminated) else "interrupted"
    text = " ".join(str(error).split())
    if len(text) > LONGEST:  # what was typed is echoed, however long it is
        text = f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"
    if isinstance(error, RexError):
        return text
    own = own_frames(error)
    place = ""
    if own:
        path = Path(own[-1].filename)
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        place = f" ({shown}:{own[-1].lineno})"
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"


def own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Returns the stack frames of an error, without those of Python and its libraries."""
    frames = traceback.extract_tb(error.__traceback__)
    foreign = ("site-packages", "<", sysconfig.get_paths()["stdlib"])
    return [frame for frame in frames if not any(part in frame.filename for part in foreign)]
