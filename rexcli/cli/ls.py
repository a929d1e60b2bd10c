"""`rex ls`: the runs that there are and their results. Reads data only."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from rexcli.cli.console import Result, Table, shorten
from rexcli.config.project import find_project
from rexcli.errors import RexError, suggest
from rexcli.runs.storage import is_temporary
from rexcli.runs.view import RunView


def list_results(folder: str | None, sort: str | None) -> Result:
    """A table of the runs in `folder` (default: the project's outputs), oldest first or by result `sort`.

    Raises:
        RexError: where there is no such folder, or no run has this result.
    """
    root = find_project().outputs if folder is None else Path(folder)
    if not root.is_dir() and folder is not None:
        raise RexError(f"{folder}: there is no such folder; give one of outputs/, or none for all runs")
    views = sorted(_views(root), key=lambda view: (view.started, str(view.path)))
    names = list(dict.fromkeys(name for view in views for name, value in view.results.items() if _short(value)))
    if sort is not None:
        if sort not in names:
            raise RexError(f"--sort {sort}: no run in {shorten(root)} has this result{suggest(sort, names)}")
        views.sort(key=lambda view: _rank(view.results.get(sort)))
    rows = [
        [shorten(view.path.resolve()), view.status, view.seed, *(view.results.get(name) for name in names)]
        for view in views
    ]
    return Result(tables=[Table("runs", ("run", "status", "seed", *names), rows)])


def _views(root: Path) -> list[RunView]:
    views = []
    for file in root.rglob("run.json"):
        if not is_temporary(file.relative_to(root)):
            try:
                view = RunView(file.parent)
                _ = view.started, view.status, view.results
            except RexError:
                continue
            views.append(view)
    return views


def _short(value: Any) -> bool:
    return not isinstance(value, list | dict)


def _rank(value: Any) -> float:
    """Runs without the number come first."""
    number = isinstance(value, int | float) and not math.isnan(value)
    return float(value) if number else -math.inf
