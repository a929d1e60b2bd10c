"""Implements `rex plot RUN… [PICTURE…]`: draws pictures of runs. It only reads data."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rexcli.cli.console import Console, shorten
from rexcli.config.project import Project, find_project
from rexcli.errors import RexError, suggest
from rexcli.runs.result import Result, Table
from rexcli.runs.storage import is_temporary, remove_abandoned
from rexcli.runs.view import RunView, find_run, list_runs
from rexcli.sweep.folder import is_sweep, read_record
from rexcli.sweep.table import SweepView

if TYPE_CHECKING:
    from rexcli.plot.registry import View

EVERY = 1.0
"""Seconds between two looks at a run that is watched."""


def plot_runs(
    words: Sequence[str], out: str | None, console: Console, *, show: bool = False, watch: bool = False, **options: Any
) -> Result:
    """Draws the pictures of one run, or those that overlay several runs.

    Args:
        words: folders of runs or sweeps, `latest` or `latest:COMMAND`, and names of pictures; without a run the latest
            one, without a picture all that fit.
        out: the folder for the files; None for `plots/` in the run, or for several runs `outputs/plots/<time>`.
        console: where it is printed what was drawn again.
        show: open the pictures.
        watch: draw again whenever the run has written something, until it is over.
        **options: see `rexcli.plot.Options`.

    Raises:
        RexError: a word is neither a run nor a picture, or `watch` is set for a run that is over.
    """
    from rexcli.plot import draw_many, draw_run

    project = find_project()
    outputs = project.outputs
    runs = [word for word in words if _is_run(word, outputs)]
    views = [_view(run, outputs) for run in runs or ["latest"]]
    only = [word for word in words if word not in runs]
    _check_pictures(only, views, outputs)
    draw: Callable[[], list[Path]]
    if len(views) == 1:
        remove_abandoned(views[0].path, below=True)
        folder = views[0].path / "plots" if out is None else Path(out)
        draw = partial(_draw_newest, draw_run, views[0].path, folder, only or None, project, options)
    else:
        folder = outputs / "plots" / datetime.now().strftime("%Y-%m-%d_%H-%M-%S") if out is None else Path(out)
        draw = partial(draw_many, views, folder, only or None, **options)
    if watch:
        if len(views) > 1:
            raise RexError("--watch: this is for one run; name one")
        written = _watch(views[0].path, draw, console, show)
    else:
        written = draw()
        if show:
            _show(written)
    pictures = Table("pictures", ("picture", "file"), [(path.stem, shorten(path)) for path in written])
    return Result(path=folder, tables=[pictures])


def _is_run(word: str, outputs: Path) -> bool:
    """Returns whether a word means a run, not a picture: an existing path, a word with a slash, or `latest`."""
    named = word == "latest" or word.startswith("latest:") or "/" in word or "\\" in word
    return named or Path(word).exists() or (outputs / word / "run.json").exists() or is_sweep(outputs / word)


def _check_pictures(only: Sequence[str], views: Sequence[View], outputs: Path) -> None:
    """Refuses words that are neither a run nor a picture, before anything is drawn."""
    from rexcli.plot.registry import names

    if not only:
        return
    known = names([view.config for view in views], None)
    for word in only:
        if word not in known:
            runs = [view.path.name for view in list_runs(outputs)]
            near = suggest(word, [*known, "latest", *runs])
            raise RexError(f"'{word}': this is neither a run nor a picture{near}; pictures are {', '.join(known)}")


def _view(text: str, outputs: Path) -> View:
    """Returns the sweep in the folder `text`, else the run of that name."""
    for path in (Path(text), outputs / text):
        if is_sweep(path):
            return SweepView(path)
    return find_run(text, outputs)


def _draw_newest(
    draw_run: Any, path: Path, folder: Path, only: Sequence[str] | None, project: Project, options: Any
) -> list[Path]:
    """Draws the current state of a run."""
    view = SweepView(path) if is_sweep(path) else RunView(path)
    written: list[Path] = draw_run(view, folder, only, project, **options)
    return written


def _watch(path: Path, draw: Callable[[], list[Path]], console: Console, show: bool) -> list[Path]:
    """Draws again after every change until the run is over, and then a last time. Ctrl-C stops it.

    Pictures of what the run has not written yet are left out; only the last time this is an error.
    """
    if not _goes_on(path):
        raise RexError(f"--watch: {shorten(path)} is over; leave --watch out")
    seen, shown = 0, False
    while _goes_on(path):
        if (newest := _newest(path)) != seen:
            seen = newest
            try:
                written = draw()
            except RexError:
                written = []
            if written:
                console.note(f"{datetime.now():%H:%M:%S} drew {', '.join(file.name for file in written)}")
                if show and not shown:
                    shown = True
                    _show(written)
        time.sleep(EVERY)
    return draw()


def _goes_on(path: Path) -> bool:
    return read_record(path).is_alive() if is_sweep(path) else RunView(path).status == "running"


def _newest(path: Path) -> int:
    """Returns when anything but the pictures last changed in a folder, ns."""
    files = (file for file in path.rglob("*") if "plots" not in file.relative_to(path).parts)
    return max((file.stat().st_mtime_ns for file in files if not is_temporary(file) and file.is_file()), default=0)


def _show(files: Sequence[Path]) -> None:
    from rexcli.cli.viewer import show_files

    show_files(files)
