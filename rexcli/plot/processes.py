"""Starts processes that draw pictures beside a command, and does what they are told.

Where the operating system can (not on Windows), they are forked from a process that imports Matplotlib while the
command does something else. None of them imports JAX, unless a project's own picture does.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rexcli.errors import RexError
from rexcli.machine import cores

if TYPE_CHECKING:
    from rexcli.config.key_origins import Origins
    from rexcli.config.project import Project
    from rexcli.plot.registry import View


def start_workers(most: int) -> ProcessPoolExecutor:
    """Starts as many processes as cores, but no more than `most`; they ignore Ctrl-C, which the caller handles."""
    return ProcessPoolExecutor(min(most, cores()), context(), _begin)


class Worker:
    """A process that calls one function after another, and ends with this process.

    `multiprocessing` pickles what it is asked and answers, so both are of this package's own classes.
    """

    def __init__(self) -> None:
        self.connection, theirs = context().Pipe()
        self._process = context().Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, function: Callable[..., Any], *args: Any) -> None:
        """Lets the process call a function; its result is the next `answer`."""
        with suppress(OSError):  # it has died, which `answer` says
            self.connection.send((function, args))

    def answer(self) -> Any:
        """Waits for the next result.

        Raises:
            EOFError: the process has died.
            Exception: what the function raised.
        """
        try:
            result, error = self.connection.recv()
        except OSError:
            raise EOFError from None
        if error is not None:
            raise error
        return result


def context() -> Any:
    """Returns how processes are started, and begins to import for them what they need."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver, resource_tracker

    forking = multiprocessing.get_context("forkserver")
    pictures = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")
    command = "rexcli.cli.main"  # each process begins with the main module, which in `rex` imports this
    forking.set_forkserver_preload([command, *(f"rexcli.plot.{name}" for name in pictures)])
    resource_tracker.ensure_running()  # which would unblock SIGINT
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # a child inherits it, and so ignores Ctrl-C
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return forking


def check_pictures(pictures: Mapping[str, str], project: Project, origins: Origins) -> None:
    """Finds the pictures that an experiment declares by name.

    Raises:
        RexError: there is no such picture.
    """
    from rexcli.plot.registry import find

    for name, path in pictures.items():
        find(name, path, project, origins)


def list_pictures(path: Path) -> tuple[list[str], list[str], bool]:
    """Returns the project's own pictures of a run, those of this package, and whether the time for them is limited."""
    from rexcli.plot.main import fitting_names, has_many_nodes

    return (*fitting_names(_view(path)), has_many_nodes(_view(path)))


def draw_picture(path: Path, project: Project, name: str) -> list[Path]:
    """Calls the function of this name in `rexcli.plot.main`, which imports Matplotlib."""
    from rexcli.plot import main

    return main.draw_picture(_view(path), project, name)


@lru_cache(maxsize=1)
def _view(path: Path) -> View:
    from rexcli.plot.main import once
    from rexcli.runs.view import RunView

    return once(RunView(path))


def _serve(connection: Any) -> None:
    _begin()
    with suppress(EOFError, OSError):
        while True:
            function, args = connection.recv()
            try:
                connection.send((function(*args), None))
            except RexError as error:
                connection.send((None, error))
            except Exception as error:  # it may not be possible to send it as it is
                connection.send((None, RuntimeError(f"{type(error).__name__} {error}")))


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)  # what a picture prints is no result of the command
    os.environ["JAX_PLATFORMS"] = "cpu"  # a picture that imports JAX must not take an accelerator's memory
    if logging.lastResort is not None:  # as in `rexcli.cli.main`, which a worker does not go through
        logging.getLogger("rex.plot").addHandler(logging.lastResort)
