"""Shows a sweep's jobs as a table: for the user, as `sweep.csv`, and for pictures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rexcli.errors import RexError, suggest
from rexcli.runs import formats
from rexcli.runs.filters import order
from rexcli.runs.result import Table
from rexcli.runs.storage import write_atomic
from rexcli.sweep.folder import JobRow, collect, read_record

if TYPE_CHECKING:
    import numpy as np


def columns(rows: Sequence[JobRow]) -> tuple[list[str], list[str]]:
    """Returns the keys of overrides and names of results that any job has, in order of appearance."""
    overrides = list(dict.fromkeys(key for row in rows for key in row.overrides))
    results = list(dict.fromkeys(key for row in rows for key in row.results))
    return overrides, results


def shown(rows: Sequence[JobRow], sort: str | None = None) -> Table:
    """Returns the table for the user: only overrides in which jobs differ, and results that are one number or word.

    Args:
        rows: the jobs.
        sort: a result or an override to sort by, the highest last; a list is compared by its mean.

    Raises:
        RexError: if no job has the result or override to sort by.
    """
    overrides, results = columns(rows)
    if sort is not None:
        if sort not in (*overrides, *results):
            raise RexError(f"--sort {sort}: no job has this result{suggest(sort, [*results, *overrides])}")
        rows = sorted(rows, key=lambda row: order(row.results.get(sort, row.overrides.get(sort))))
    varied = [key for key in overrides if len({row.overrides.get(key) for row in rows}) > 1]
    results = [
        key for key in results if key == sort or not any(isinstance(row.results.get(key), list | dict) for row in rows)
    ]
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


def csv_table(rows: Sequence[JobRow]) -> tuple[list[str], list[list[Any]]]:
    """Returns the columns and rows of `sweep.csv`: every override and result of every job, its status and error."""
    overrides, results = columns(rows)
    cells = [
        [
            row.number,
            *(row.overrides.get(key) for key in overrides),
            *(row.results.get(key) for key in results),
            row.status,
            row.error,
        ]
        for row in rows
    ]
    return ["job", *overrides, *results, "status", "error"], cells


def write_csv(folder: Path, rows: Sequence[JobRow]) -> None:
    """Writes `sweep.csv`; see `csv_table`."""
    write_atomic(folder / "sweep.csv", formats.encode_csv(*csv_table(rows)))


class SweepView:
    """A sweep as pictures read it: the table is made from the present state of the jobs, also for a killed sweep."""

    def __init__(self, path: Path):
        self.path = path
        self._record = read_record(path)

    @property
    def command(self) -> str:
        return self._record.command

    @property
    def experiment(self) -> str:
        return self._record.experiment

    @property
    def seed(self) -> int | None:
        return None

    @cached_property
    def config(self) -> dict[str, Any]:
        """The first job's configuration."""
        return dict(self._record.config)

    def has(self, name: str) -> bool:
        return name == "sweep.csv"

    def csv(self, name: str) -> dict[str, np.ndarray]:
        if name != "sweep.csv":
            return self._missing(name)
        return formats.decode_csv(formats.encode_csv(*csv_table(collect(self.path))))

    def arrays(self, name: str) -> Any:
        return self._missing(name)

    def json(self, name: str) -> Any:
        return self._missing(name)

    def timeline(self) -> Any:
        return self._missing("timeline.npz")

    def recording(self) -> Any:
        return self._missing("recording.mcap")

    def _missing(self, name: str) -> Any:
        raise RexError(f"{self.path}: a sweep has no {name}; name one of its jobs, such as {self.path / '0'}")
