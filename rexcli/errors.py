"""The one error that a person is meant to read.

Everything that a person typed or declared wrong is a `RexError`: its message names the thing, its value and the
fix, and the command line prints it as one line, without a traceback.
"""

import sysconfig
import traceback
from functools import partial
from pathlib import Path
from typing import Any

INTERRUPTED = 130
"""The exit code of what Ctrl-C ended."""

LONGEST = 800
"""Characters of a message."""


class RexError(Exception):
    """Something typed or declared is wrong. `str(error)` is complete and says what to do next."""

    exit_code = 2


class DeclarationError(RexError):
    """A key of a declared system is wrong, in YAML or in Python.

    Args:
        keys: the dotted path in YAML, such as `edges.sensor_agent.window`; several where one of them is to be changed.
        value: of the first key.
        fix: what to give in its place.
        message: all that is to be said, in place of `key=value: fix`.
    """

    def __init__(self, keys: str | tuple[str, ...], value: object = None, fix: str = "", *, message: str = ""):
        self.keys = (keys,) if isinstance(keys, str) else keys
        super().__init__(message or f"{self.keys[0]}={shown(value)}: {fix}")

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(DeclarationError, message=str(self)), (self.keys,)


class RunError(RexError):
    """What was declared is right, but went wrong while it ran: a node that raised, hung or failed to start."""

    exit_code = 1


class WriteError(RunError):
    """A file cannot be written: the disk is full, or nobody may write there."""


class Terminated(KeyboardInterrupt):
    """SIGTERM ended the run, after it was stopped as on Ctrl-C."""

    exit_code = 143


def shown(value: object) -> str:
    """A value as it would be typed in YAML, cut short."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = (f"{value:g}" if isinstance(value, float) else str(value)).replace("\n", " ")
    return text if len(text) <= 60 else text[:57] + "…"


def suggest(word: str, known: list[str]) -> str:
    """`"; did you mean 'rate'?"` for the closest of `known`, else `"; known: …"`."""
    import difflib

    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(known)}" if known else ""


def describe(error: BaseException) -> str:
    """`error` as one line; for an exception that is not ours, with the line of code that raised it."""
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
    """Where an error came by, without what belongs to Python and its libraries."""
    frames = traceback.extract_tb(error.__traceback__)
    foreign = ("site-packages", "<", sysconfig.get_paths()["stdlib"])
    return [frame for frame in frames if not any(part in frame.filename for part in foreign)]
