"""A sweep's folder: what its jobs were given and what came of each, as a table and as `sweep.csv`.

Each job's folder has a `job.json`: its overrides, its status and, where it failed, why. A job that came as far as a run
has the run's own files beside it, and its results are read from there.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rexcli.cli.console import Table, cell, jsonable
from rexcli.errors import RexError
from rexcli.runs.storage import write_atomic


@dataclass(frozen=True)
class JobRow:
    """One job of a sweep.

    Attributes:
        number: its folder's name.
        overrides: by key, as typed.
        status: `running`, `done`, `failed`, `interrupted` or `killed`.
        results: from its run.
        error: why it failed.
    """

    number: int
    overrides: Mapping[str, str]
    status: str
    results: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


def new_folder(path: Path) -> Path:
    """Makes the sweep's folder, with `-2`, `-3`, … behind its name where it is taken."""
    number = 1
    while True:
        folder = path if number == 1 else path.with_name(f"{path.name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder


def write_job(folder: Path, overrides: Sequence[str], status: str, error: str | None = None) -> None:
    """Notes in a job's folder what it was given and how it goes."""
    record = {"overrides": list(overrides), "status": status, "error": error}
    write_atomic(folder / "job.json", json.dumps(record, indent=2).encode())


def collect(folder: Path) -> list[JobRow]:
    """The jobs in a sweep's folder, by number. Reads data only."""
    rows = []
    for path in folder.iterdir():
        if path.name.isdigit() and (path / "job.json").is_file():
            rows.append(_row(path))
    return sorted(rows, key=lambda row: row.number)


def _row(path: Path) -> JobRow:
    from rexcli.runs.view import RunView

    record = json.loads((path / "job.json").read_text(encoding="utf-8"))
    overrides = dict(text.partition("=")[::2] for text in record["overrides"])
    status, error, results = record["status"], record["error"], {}
    try:
        view = RunView(path)
        results = view.results
        if status == "running":
            status, error = view.status, view.error
    except RexError:
        pass
    return JobRow(int(path.name), overrides, status, results, error)


def columns(rows: Sequence[JobRow]) -> tuple[list[str], list[str]]:
    """Keys of overrides and names of results that any job has, in order of appearance."""
    overrides = list(dict.fromkeys(key for row in rows for key in row.overrides))
    results = list(dict.fromkeys(key for row in rows for key in row.results))
    return overrides, results


def shown(rows: Sequence[JobRow]) -> Table:
    """The table for a person: only the overrides in which the jobs differ, results that are one number or word."""
    overrides, results = columns(rows)
    varied = [key for key in overrides if len({row.overrides.get(key) for row in rows}) > 1]
    results = [key for key in results if not any(isinstance(row.results.get(key), list | dict) for row in rows)]
    failed = any(row.error for row in rows)
    return Table(
        "sweep",
        ["job", *(varied or overrides), *results, "status", *(["error"] if failed else [])],
        [
            [
                row.number,
                *(row.overrides.get(key) for key in (varied or overrides)),
                *(row.results.get(key) for key in results),
                row.status,
                *([row.error] if failed else []),
            ]
            for row in rows
        ],
    )


def write_csv(folder: Path, rows: Sequence[JobRow]) -> Path:
    """`sweep.csv`: every override and result of every job, status and error."""
    overrides, results = columns(rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["job", *overrides, *results, "status", "error"])
    for row in rows:
        values = [jsonable(row.results.get(key)) for key in results]
        writer.writerow(
            [
                row.number,
                *(row.overrides.get(key, "") for key in overrides),
                *(
                    "" if value is None else json.dumps(value) if isinstance(value, list | dict) else value
                    for value in values
                ),
                row.status,
                row.error or "",
            ]
        )
    path = folder / "sweep.csv"
    write_atomic(path, text.getvalue().encode())
    return path


def one_line(values: Mapping[str, Any]) -> str:
    """Results in one line."""
    return ", ".join(f"{key} {cell(value)}" for key, value in values.items())
