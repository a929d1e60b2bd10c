"""`rex ls`: the runs that there are and their results. Reads data only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rexcli.cli.console import shorten
from rexcli.config.project import find_project
from rexcli.errors import RexError, suggest
from rexcli.runs.result import Result, Table
from rexcli.runs.view import RunView, list_runs
from rexcli.sweep.folder import collect, is_sweep
from rexcli.sweep.table import rank, shown


def list_results(folder: str | None, sort: str | None) -> Result:
    """The runs in `folder` (default: the project's outputs), a table a command, oldest first; or all by result `sort`.

    The folder of a sweep gives the sweep's table.

    Raises:
        RexError: where there is no such folder, or no run has this result.
    """
    root = find_project().outputs if folder is None else Path(folder)
    if not root.is_dir() and folder is not None:
        raise RexError(f"{folder}: there is no such folder; give one of outputs/, or none for all runs")
    if is_sweep(root):
        return Result(tables=[shown(collect(root), sort)])
    views = list_runs(root)[::-1]
    known = list(dict.fromkeys(name for view in views for name in view.results))
    if sort is not None:
        if sort not in known:
            raise RexError(f"--sort {sort}: no run in {shorten(root)} has this result{suggest(sort, known)}")
        views.sort(key=lambda view: rank(view.results.get(sort)))
    if sort is not None:
        return Result(tables=[_table("runs", views, sort)])
    commands = dict.fromkeys(view.command for view in views)
    return Result(
        tables=[_table(command, [view for view in views if view.command == command]) for command in commands]
        or [_table("runs", [])]
    )


def _table(title: str, views: Sequence[RunView], sort: str | None = None) -> Table:
    """Runs with those results that are one number or word in any of them."""
    known = list(dict.fromkeys(name for view in views for name in view.results))
    names = [name for name in known if name == sort or any(_short(view.results.get(name)) for view in views)]
    rows = [
        [shorten(view.path.resolve()), view.status, view.seed, *(view.results.get(name) for name in names)]
        for view in views
    ]
    return Table(title, ("run", "status", "seed", *names), rows)


def _short(value: Any) -> bool:
    return value is not None and not isinstance(value, list | dict)
