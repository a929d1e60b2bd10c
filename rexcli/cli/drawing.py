"""Draws a command's pictures in processes beside it, which import Matplotlib while the command does something else.

Only the process of `rex` itself does so: where somebody else's process calls `main`, as tests do, it draws itself.
"""

from __future__ import annotations

import base64
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

from rexcli.errors import RexError
from rexcli.machine import cores

if TYPE_CHECKING:
    from rexcli.config.key_origins import Origins
    from rexcli.config.project import Project
    from rexcli.plot.drawing_processes import DrawingProcess
    from rexcli.runs.view import RunView

PROCESSES = 2
"""Number of processes; the first draws the project's own pictures, for which it may have to import JAX."""

MOST_AHEAD = 50_000_000
"""Number of bytes of which a system is drawn ahead; more would take longer to pass on than to draw."""

_allowed = False
_workers: list[DrawingProcess] = []
_starting: Thread | None = None
_ahead: Thread | None = None
_first_is_ready, _all_are_ready = Event(), Event()


def allow() -> None:
    """Lets commands of this process draw in other processes, if there is a core for them."""
    global _allowed
    _allowed = cores() > 1


def prepare() -> None:
    """Begins to import Matplotlib in the first process."""
    if _allowed and not _workers:
        from rexcli.plot.drawing_processes import DrawingProcess

        with suppress(OSError):
            _workers.append(DrawingProcess())


def start(declared: Mapping[str, str], project: Project) -> None:
    """Starts the processes, beside what the command does before it draws.

    Args:
        declared: the pictures that the experiment declares, by name; what they need is imported.
        project: the project that defines them.
    """
    global _starting
    if _allowed and _starting is None:
        prepare()
        _starting = Thread(target=_start, args=(dict(declared), str(project.root)), daemon=True)
        _starting.start()


def are_started() -> bool:
    """Returns whether pictures are drawn in other processes."""
    return _starting is not None


def _start(declared: Mapping[str, str], project: str) -> None:
    """Starts one process after the other, for the command needs the rest of the cores."""
    from rexcli.plot.drawing_processes import DrawingProcess, find_pictures

    try:
        for worker in _workers[:1]:
            worker.call(find_pictures, declared, project)
        _first_is_ready.set()
        while _workers and len(_workers) < PROCESSES:
            worker = DrawingProcess()
            worker.call(find_pictures, {}, project)
            _workers.append(worker)
    except (EOFError, OSError):  # there is no room for it
        pass
    finally:
        _first_is_ready.set()
        _all_are_ready.set()


@contextmanager
def _running(ready: Event) -> Iterator[list[DrawingProcess]]:
    """Yields the processes; none if one died, or failed before and may still be busy."""
    if _starting is not None:
        ready.wait()
    try:
        yield _workers
    except EOFError:
        _workers.clear()
    except BaseException:
        _workers.clear()
        raise


def check(declared: Mapping[str, str], project: Project, origins: Origins) -> None:
    """Finds the pictures that an experiment declares.

    Args:
        declared, project: as for `start`.
        origins: where keys were set, for error messages.

    Raises:
        RexError: there is no such picture.
    """
    if not declared:
        return
    from rexcli.plot.drawing_processes import find_pictures

    with _running(_first_is_ready) as workers:
        if workers and workers[0].call(find_pictures, dict(declared), str(project.root)):
            return
    from rexcli.plot.registry import find

    for name, path in declared.items():
        find(name, path, project, origins)


def draw_ahead(config: str, artifacts: Mapping[str, bytes]) -> None:
    """Draws in the last process what the system of a run looks like, beside the run; `draw_pictures` then writes that.

    Args:
        config: the text of the run's config.yaml.
        artifacts: contents of files that it will have, by name.
    """
    global _ahead
    if not are_started() or sum(map(len, artifacts.values())) > MOST_AHEAD:
        return
    from rexcli.plot.drawing_processes import draw_ahead

    encoded = {name: base64.b64encode(content).decode() for name, content in artifacts.items()}

    def draw() -> None:
        _all_are_ready.wait()
        with suppress(EOFError, IndexError, RexError):  # it is drawn, and said, at the end
            _workers[-1].call(draw_ahead, config, encoded)

    _ahead = Thread(target=draw, daemon=True)
    _ahead.start()


def draw_pictures(view: RunView, project: Project, seconds: float) -> list[Path]:
    """Does what `rexcli.plot.draw_and_log` does, in the processes beside this one if there are any."""
    with _running(_all_are_ready) as workers:
        if workers:
            return _draw_by(workers, str(view.path.absolute()), str(project.root), seconds)
    from rexcli.plot import draw_and_log

    return draw_and_log(view, project, seconds)


def _draw_by(workers: list[DrawingProcess], run: str, project: str, seconds: float) -> list[Path]:
    """Gives each process one picture after another, as it is ready for it."""
    from rexcli.plot.drawing_processes import draw_picture, list_pictures

    began = time.perf_counter()
    *listed, limited = workers[0].call(list_pictures, run)
    own, of_system, others = map(deque, listed)
    if _ahead is None:
        others.extendleft(reversed(of_system))
        of_system.clear()

    def draw(worker: DrawingProcess) -> list[str]:
        written = []
        mine = [own] * (worker is workers[0]) + [of_system] * (worker is workers[-1])
        for names in (*mine, others):
            while not (limited and time.perf_counter() - began > seconds):
                try:
                    name = names.popleft()
                except IndexError:
                    break
                written += worker.call(draw_picture, run, project, name)
        return written

    with ThreadPoolExecutor(len(workers)) as threads:
        try:
            written = [Path(file) for files in threads.map(draw, workers) for file in files]
        except BaseException:
            for names in (own, of_system, others):
                names.clear()
            raise
    if left_out := [*own, *of_system, *others]:
        from rexcli.plot.main import warn_left_out

        warn_left_out(Path(run), left_out)
    return written
