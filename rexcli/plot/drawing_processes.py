"""Draws pictures in other processes: those of a single command, and those of a sweep whose jobs share a process.

A `DrawingProcess` runs this module as a program, which imports Matplotlib, and JAX only if a project's own picture
does. Each line on its standard input is a call of one of `CALLED`, as JSON; each line of its answers has the result, or
what was raised.
"""

from __future__ import annotations

import base64
import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from rexcli.errors import RexError, WriteError
from rexcli.machine import cores

if TYPE_CHECKING:
    from rexcli.config.project import Project
    from rexcli.plot.registry import View


def start_workers(most: int) -> ProcessPoolExecutor:
    """Starts as many processes as cores, but no more than `most`, which begin to import what they need; they ignore
    Ctrl-C, which the caller handles.
    """
    number = min(most, cores())
    workers = ProcessPoolExecutor(number, multiprocessing.get_context("spawn"), _begin)
    for _ in range(number):  # each starts a process
        workers.submit(_import_pictures)
    return workers


def _import_pictures() -> None:
    from rexcli.plot.registry import pictures

    pictures()


class DrawingProcess:
    """A process that draws, and ends when this process does, however it ends.

    Raises:
        OSError: there is no room for it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: Any = subprocess.Popen(
            [sys.executable, "-m", "rexcli.plot.drawing_processes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # so that Ctrl-C in a terminal is for the command alone
        )

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Calls one of `CALLED` in the process, with what JSON can hold, and waits for its result.

        Raises:
            EOFError: the process has died.
            RexError: the function raised an error.
        """
        try:
            with self._lock:
                self._process.stdin.write(json.dumps([function.__name__, arguments]) + "\n")
                self._process.stdin.flush()
                result, error, text = json.loads(self._process.stdout.readline())
        except (OSError, ValueError):
            raise EOFError from None
        if error is not None:
            raise WriteError(text) if error == WriteError.__name__ else RexError(text)
        return result

    def close(self) -> None:
        """Lets the process end once it has done what it was told."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def find_pictures(paths: Mapping[str, str], project: str) -> bool:
    """Returns whether these pictures, by name, can be found in a project; imports what they need."""
    from rexcli.plot.registry import find

    try:
        for name, path in paths.items():
            find(name, path, _project(project))
    except Exception:  # the command says what is wrong
        return False
    return True


def draw_ahead(config: str, artifacts: Mapping[str, str]) -> None:
    """Draws what a system looks like; `draw_picture` of a run of it then only writes that.

    Args:
        config: the text of the run's config.yaml.
        artifacts: contents of files that it will have, in Base64.
    """
    from rexcli.plot import main
    from rexcli.plot.system_view import SystemView
    from rexcli.runs.plain_yaml import load_yaml

    files = {name: base64.b64decode(content) for name, content in artifacts.items()}
    main.draw_ahead(SystemView(Path(), load_yaml(config.encode()), files))


def list_pictures(run: str) -> tuple[list[str], list[str], list[str], bool]:
    """Returns `rexcli.plot.main.fitting_names` of a run, and whether the time for them is limited."""
    from rexcli.plot.main import fitting_names, has_many_nodes

    _view.cache_clear()
    return (*fitting_names(_view(run)), has_many_nodes(_view(run)))


def draw_picture(run: str, project: str, name: str) -> list[str]:
    """Draws one picture of a run; returns its file, or none if it fails, which the run's log says."""
    from rexcli.plot import main

    return [str(path) for path in main.draw_picture(_view(run), _project(project), name)]


CALLED = {function.__name__: function for function in (find_pictures, draw_ahead, list_pictures, draw_picture)}


@lru_cache(maxsize=1)
def _view(run: str) -> View:
    from rexcli.plot.main import once
    from rexcli.runs.view import RunView

    return once(RunView(run))


@lru_cache(maxsize=1)
def _project(root: str) -> Project:
    from rexcli.config.project import find_project

    return find_project(Path(root))


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["JAX_PLATFORMS"] = "cpu"  # a picture that imports JAX must not take an accelerator's memory
    if logging.lastResort is not None:  # as in `rexcli.cli.main`, which a worker does not go through
        logging.getLogger("rex.plot").addHandler(logging.lastResort)


def _serve() -> None:
    """Answers the calls on standard input until it ends."""
    _begin()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a picture prints is no answer, and no result of the command
    _import_pictures()
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            answer = [CALLED[name](*arguments), None, ""]
        except RexError as error:
            answer = [None, type(error).__name__, str(error)]
        except Exception as error:
            answer = [None, RexError.__name__, f"{type(error).__name__} {error}"]
        try:
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
        except OSError:  # the command has ended
            os._exit(1)


if __name__ == "__main__":
    _serve()
