"""Implements the console command `rex`, from its words to the exit code of the process."""

from __future__ import annotations

import atexit
import ctypes
import gc
import inspect
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from functools import partial
from typing import Any, NoReturn

import typer

from rexcli import signals
from rexcli.cli import drawing, errors, profiler
from rexcli.cli.commands import app
from rexcli.errors import INTERRUPTED, RexError, Terminated
from rexcli.machine import GARBAGE


def main(argv: Sequence[str] | None = None, *, last: bool = False) -> int:
    """Runs `rex` with `argv` (default: the process's own).

    Args:
        argv: the words behind `rex`.
        last: whether the process ends afterwards.

    Returns:
        The exit code: 0 done, 1 a run failed, 2 what was typed or declared is wrong, 130 interrupted, 143 terminated.
    """
    try:
        words, profile = profiler.split(sys.argv[1:] if argv is None else argv)
    except RexError as error:
        return _report(error)
    _set_up_logging()
    if last and profile is None:  # a profile shows what this process does
        drawing.allow()
    command = _command_for(words)
    with signals.raise_on_signal(restore=not last) as request:
        try:
            with profiler.profiling(profile):
                code = command.main(
                    _completed(words) or ["--help"], prog_name="rex", standalone_mode=False, obj=("rex", *words)
                )
            sys.stdout.flush()
            return int(code or 0)
        except KeyboardInterrupt as error:
            return _report(error)
        except Exception as error:
            return _report(request.error or error)
        except SystemExit as error:  # raised by the argument parser and rich for a pipe that nobody reads
            if isinstance(error.__context__, BrokenPipeError):
                return _report(error.__context__)
            raise


def _command_for(words: Sequence[str]) -> Any:
    """Returns the commands, of which only the typed one has its arguments, since Typer takes long to read those of all.

    If no known command is typed, Typer lists all of them, for which names and help suffice.
    """
    typed = next((word for word in words if not word.startswith("-")), None)
    shown = copy(app)
    whole = "_REX_COMPLETE" in os.environ  # a shell passes words to complete in the environment
    shown.registered_commands = [
        each if whole or each.name == typed else _named(each) for each in app.registered_commands
    ]
    command: Any = typer.main.get_command(shown)
    _take_words_as_typed(command)
    return command


def _named(info: Any) -> Any:
    """Returns a command without its arguments."""
    named = copy(info)
    named.callback, named.help = lambda: None, info.help or inspect.getdoc(info.callback)
    return named


class _AsTyped:
    """The type of a parameter that is passed on as typed: text or a flag."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        return list(value or ()) if param.multiple or param.nargs == -1 else value


def _take_words_as_typed(command: Any) -> None:
    """Keeps Typer from checking text and flags with Pydantic, whose import takes as long as all of `rex ls`.

    Only newer versions of Typer use Pydantic. Numbers are still checked, where a command is given some.
    """

    def parameters(given: Callable[[Any], Any], context: Any) -> Any:
        for parameter in (found := given(context)):
            described = getattr(parameter, "type_descriptor", None)
            if described is not None and described.annotation in (str, list[str], bool):
                parameter.get_runtime_param = _AsTyped
                if parameter.metavar is None or parameter.param_type_name == "argument":
                    parameter.display_type_rich = lambda ctx: None  # `--quiet <bool>` would ask for a value
        return found

    for each in (command, *command.commands.values()):
        each.get_params = partial(parameters, each.get_params)


def start() -> NoReturn:
    """Runs `main` and ends the process; `rex` in a shell calls this.

    The process ends without taking its modules apart, which takes JAX a fifth of a second. After an interruption it
    ends at once, without cleaning up: XLA's own threads cannot be stopped and still use the memory that they compute
    on.
    """
    gc.set_threshold(GARBAGE)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the caller has closed the stream, as `rex ls >&-` does
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    try:
        code = main(last=True)
        signals.exit_on_signal(code)
    except KeyboardInterrupt as error:  # interrupted at the last moment
        code = _report(error)
    interrupted = code in (INTERRUPTED, Terminated.exit_code)
    others = [each for each in threading.enumerate() if not each.daemon and each is not threading.main_thread()]
    if others and not interrupted:  # Python waits for them
        sys.exit(code)
    if not interrupted:
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    with suppress(Exception):
        ctypes.CDLL(None).fflush(None)  # what libraries in C have printed, such as a robot's driver
    os._exit(code)


def _set_up_logging() -> None:
    """Sends warnings of nodes and of pictures to stderr; everything else is in `log.txt`."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())  # without a handler, a library adds one that prints everything
    if logging.lastResort is not None:
        for name in ("rex.nodes", "rex.plot"):
            logging.getLogger(name).addHandler(logging.lastResort)


def _completed(words: list[str]) -> list[str]:
    """Completes `--info` without a value to `--info all`, as in Hydra."""
    completed = []
    for index, word in enumerate(words):
        completed.append(word)
        following = words[index + 1] if index + 1 < len(words) else "-"
        if word in ("--info", "-i") and (following.startswith("-") or "=" in following):
            completed.append("all")
    return completed


def _report(error: BaseException) -> int:
    """Prints one line for `error` and returns the exit code.

    Errors of the argument parser are printed by their `format_message`.
    """
    if isinstance(error, BrokenPipeError):  # the reader has closed the pipe, as in `rex show | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return errors.DONE
    if type(error).__name__ == "Abort":  # raised by the argument parser for a signal
        cause = error.__cause__
        return errors.report(cause if isinstance(cause, KeyboardInterrupt) else KeyboardInterrupt())
    if hasattr(error, "format_message"):
        return errors.report(RexError(error.format_message()))
    return errors.report(error)


if __name__ == "__main__":
    start()
