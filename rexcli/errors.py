"""The one error that a person is meant to read.

Everything that a person typed or declared wrong is a `RexError`: its message names the thing, its value and the
fix, and the command line prints it as one line, without a traceback.
"""


class RexError(Exception):
    """Something typed or declared is wrong. `str(error)` is complete and says what to do next."""

    exit_code = 2


class RunError(RexError):
    """What was declared is right, but went wrong while it ran: a node that raised, hung or failed to start."""

    exit_code = 1


class WriteError(RunError):
    """A file cannot be written: the disk is full, or nobody may write there."""


class Terminated(KeyboardInterrupt):
    """SIGTERM ended the run, after it was stopped as on Ctrl-C."""

    exit_code = 143


def suggest(word: str, known: list[str]) -> str:
    """`"; did you mean 'rate'?"` for the closest of `known`, else `"; known: …"`."""
    import difflib

    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(known)}" if known else ""
