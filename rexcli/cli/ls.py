"""Implements `rex ls`: lists runs and their results. It only reads data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rexcli.cli.console import shorten
from rexcli.config.project import find_project
from rexcli.errors import RexError, suggest
from rexcli.runs.filters import FIELDS, is_filter, order, parse_filter, select, value_of
from rexcli.runs.result import Result, Table
from rexcli.runs.view import RunView, list_runs
from rexcli.sweep.folder import collect, is_sweep
from rexcli.sweep.table import shown

MACHINE = ("steps", "episodes", "best seed", "devices", "processes", "rollouts", "saved", "steps each", "slots")
"""Results about how long and how large a run was; they are listed after what the run found out."""

AGES = (("d", 86400.0), ("h", 3600.0), ("min", 60.0))


def list_results(
    words: Sequence[str], sort: str | None = None, columns: str | None = None, whole: bool = False
) -> Result:
    """Lists the runs in a folder (default: the project's outputs).

    There is one table per command, oldest run first, or a single one if `sort` is given. For the folder of a sweep it
    is the sweep's table.

    Args:
        words: at most one folder, and conditions on the runs (see `rexcli.runs.filters`).
        sort: what to sort by: a result, a key of the configuration, `started`, or a field of every run; the highest
            comes last.
        columns: which results to show, separated by commas; `all`; None for as many as fit.
        whole: include full paths and times, and results that are lists, for programs.

    Raises:
        RexError: there is no such folder, or no run has this result.
    """
    outputs = find_project().outputs
    folders = [word for word in words if not is_filter(word) or Path(word).is_dir()]
    filters = [parse_filter(word) for word in words if word not in folders]
    if len(folders) > 1:
        raise RexError(f"'{folders[1]}': give one folder, and filters such as status=done or 'hold>0.9'")
    root = Path(folders[0]) if folders else outputs
    if folders and not root.is_dir() and (outputs / root).is_dir():
        root = outputs / root
    if not root.is_dir() and folders:
        raise RexError(f"{root}: there is no such folder; give one of outputs/, or none for all runs")
    root = root.resolve()
    if is_sweep(root) and not filters:
        return Result(tables=[shown(collect(root), sort)])
    views = select(list_runs(root)[::-1], filters)
    if sort is not None:
        views.sort(key=lambda view: order(_sorted_by(view, sort)))
        if views and all(_sorted_by(view, sort) is None for view in views):
            known = [*FIELDS, "started", *dict.fromkeys(name for view in views for name in view.results)]
            raise RexError(f"--sort {sort}: no run in {shorten(root)} has this result{suggest(sort, known)}")
    first = [key for key in [sort, *(each.key for each in filters)] if key not in (None, "since", "until", *FIELDS)]
    if columns not in (None, "all"):
        first = [name.strip() for name in str(columns).split(",")]
        known = list(dict.fromkeys(name for view in views for name in view.results))
        for name in first:
            if views and all(value_of(view, name) is None for view in views):
                raise RexError(f"--columns {name}: no run has this result{suggest(name, [*known, 'all'])}")
    commands = dict.fromkeys(view.command for view in views)
    groups = {command: [view for view in views if view.command == command] for command in commands}
    if sort is not None or not views:
        groups = {"runs": views}
    if whole:
        tables = [_records(title, group) for title, group in groups.items()]
    else:
        tables = [
            _table(title, group, outputs, [str(key) for key in first], columns) for title, group in groups.items()
        ]
    return Result(tables=tables, paths=[view.path for view in views])


def _sorted_by(view: RunView, sort: str) -> Any:
    return datetime.fromisoformat(view.started).timestamp() if sort in ("start", "started") else value_of(view, sort)


def _table(title: str, views: Sequence[RunView], outputs: Path, first: Sequence[str], columns: str | None) -> Table:
    """Returns a table of runs with the requested results and, as far as they fit, the other ones."""
    known = list(dict.fromkeys(name for view in views for name in view.results))
    first = [name for name in dict.fromkeys(first) if name not in ("start", "started")]
    names = [
        name
        for name in known
        if name not in first
        and name.replace(" ", "_") not in first
        and not any(isinstance(view.results.get(name), list | dict) for view in views)
    ]
    names.sort(key=lambda name: name in MACHINE or name.endswith((" s", "/s")))
    if columns not in (None, "all"):
        names = []
    now = datetime.now().astimezone()
    rows = [
        [
            _place(view.path, outputs),
            view.status,
            *(value_of(view, name) for name in first),
            _age(view, now),
            view.seed,
            *(view.results.get(name) for name in names),
        ]
        for view in views
    ]
    heads = ("run", "status", *first, "age", "seed", *names)
    return Table(title, heads, rows, keep=None if columns == "all" else 2 + len(first))


def _records(title: str, views: Sequence[RunView]) -> Table:
    """Returns a table of every run with all results in `run.json`."""
    names = list(dict.fromkeys(name for view in views for name in view.results))
    rows = [
        [str(view.path), view.experiment, view.command, view.status, view.started, view.seed]
        + [view.results.get(name) for name in names]
        for view in views
    ]
    return Table(title, ("run", "experiment", "command", "status", "started", "seed", *names), rows)


def _place(path: Path, outputs: Path) -> str:
    """Returns a run's folder as commands accept it: relative to the outputs folder or the working directory."""
    text, inside = str(path), f"{outputs}{os.sep}"
    return text.removeprefix(inside) if text.startswith(inside) else shorten(path)


def _age(view: RunView, now: datetime) -> str:
    """Returns how long ago a run began, in its largest unit."""
    passed = max(0.0, (now - datetime.fromisoformat(view.started)).total_seconds())
    unit, length = next((pair for pair in AGES if passed >= 2 * pair[1]), ("s", 1.0))
    return f"{passed / length:.0f} {unit}"
