"""Draws a command's pictures in processes beside it, which import Matplotlib while the command does something else.

Only the process of `rex` itself does so: where somebody else's process calls `main`, as tests do, it draws itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from rexcli.machine import cores

if TYPE_CHECKING:
    from rexcli.config.key_origins import Origins
    from rexcli.config.project import Project
    from rexcli.plot.processes import Worker
    from rexcli.runs.view import RunView

PROCESSES = 2
"""Number of processes; the first draws the project's own pictures, for which it may have to import JAX."""

_allowed = False
_starting: Thread | None = None
_workers: list[Worker] = []


def allow() -> None:
    """Lets commands of this process draw in other processes, if there is a core for them."""
    global _allowed
    _allowed = cores() > 1


def prepare() -> None:
    """Begins to import Matplotlib for other processes."""
    if _allowed:
        from rexcli.plot.processes import context

        context()


def start(declared: Mapping[str, str], project: Project, origins: Origins) -> None:
    """Starts the processes, beside what the command does before it draws.

    Args:
        declared: the pictures that the experiment declares, by name; what they need is imported.
        project: the project that defines them.
        origins: where keys were set, for error messages.
    """
    global _starting
    if _allowed and _starting is None:
        _starting = Thread(target=_start, args=(declared, project, origins), daemon=True)
        _starting.start()


def _start(*pictures: Any) -> None:
    from rexcli.plot.processes import Worker, check_pictures

    with suppress(OSError):  # there may be no room for processes
        _workers.append(Worker())
        _workers[0].ask(check_pictures, *pictures)
        while len(_workers) < PROCESSES:
            _workers.append(Worker())
    if _workers:
        with suppress(Exception):  # `check` says what is wrong
            _workers[0].answer()


@contextmanager
def _running() -> Iterator[list[Worker]]:
    """Yields the processes; none if they died, or if they failed before and may be busy with what nobody awaits."""
    if _starting is not None:
        _starting.join()
    try:
        yield _workers
    except EOFError:
        _workers.clear()
    except BaseException:
        _workers.clear()
        raise


def check(declared: Mapping[str, str], project: Project, origins: Origins) -> None:
    """Finds the pictures that an experiment declares, as for `start`.

    Raises:
        RexError: there is no such picture.
    """
    from rexcli.plot.processes import check_pictures

    if not declared:
        return
    with _running() as workers:
        if workers:
            workers[0].ask(check_pictures, declared, project, origins)
            workers[0].answer()
            return
    check_pictures(declared, project, origins)


def draw_pictures(view: RunView, project: Project, seconds: float) -> list[Path]:
    """Does what `rexcli.plot.draw_and_log` does, in the processes beside this one if there are any."""
    with _running() as workers:
        if workers:
            return _draw_by(workers, view.path.absolute(), project, seconds)
    from rexcli.plot import draw_and_log

    return draw_and_log(view, project, seconds)


def _draw_by(workers: list[Worker], run: Path, project: Project, seconds: float) -> list[Path]:
    """Gives each process one picture after another, as it is ready for it."""
    from multiprocessing.connection import wait

    from rexcli.plot.processes import draw_picture, list_pictures

    began = time.perf_counter()
    workers[0].ask(list_pictures, run)
    own, others, limited = workers[0].answer()
    ready, busy, written = list(workers), {}, []
    while True:
        while ready and not (limited and time.perf_counter() - began > seconds):
            worker = ready.pop()
            names = own if own and worker is workers[0] else others
            if names:
                worker.ask(draw_picture, run, project, names.pop(0))
                busy[worker.connection] = worker
        if not busy:
            break
        for connection in wait(list(busy)):
            ready.append(worker := busy.pop(connection))
            written += worker.answer()
    if own or others:
        from rexcli.plot.main import warn_left_out

        warn_left_out(run, [*own, *others])
    return written
