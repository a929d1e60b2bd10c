"""Describes the result of a command: numbers, a run's folder and tables, and formats the cells of tables as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Table:
    """A table, whose cells are text or numbers; columns of numbers are right-aligned.

    Attributes:
        title: the line above the table.
        columns: column heads, with units.
        rows: rows of cells, each as long as `columns`.
        keep: how many columns must be shown, the others only if there is room; None for all.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    keep: int | None = None

    def records(self) -> list[dict[str, Any]]:
        """Returns one mapping per row, for JSON."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Result:
    """The result of a command.

    Attributes:
        values: the numbers that are shown last, by name with unit.
        path: the run's folder; None for a command that makes none.
        tables: shown before the values.
        warnings: what looks wrong, one line each.
        objective: what a sweeper should minimise or maximise.
        paths: folders of the runs in the tables, for scripts.
        shown: whether tables, warnings and values were shown already.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    tables: Sequence[Table] = ()
    warnings: Sequence[str] = ()
    objective: float | None = None
    paths: Sequence[Path] = ()
    shown: bool = False


def fitting(table: Table, width: int) -> list[Table]:
    """Splits a table into tables no wider than a terminal: each has the first column and some of the others.

    If columns may be left out (`keep`), there is one table with those for which there is room.
    """

    def width_of(i: int) -> int:
        return max(len(table.columns[i]), max((len(cell(row[i])) for row in table.rows), default=0)) + 2

    if table.keep is not None:
        shown, left = list(range(table.keep)), width - sum(map(width_of, range(table.keep)))
        for i in range(table.keep, len(table.columns)):
            if len(table.columns[i]) + 2 <= left and (wide := width_of(i)) <= left:
                shown.append(i)
                left -= wide
        rows = [[row[i] for i in shown] for row in table.rows]
        return [Table(table.title, [table.columns[i] for i in shown], rows)]
    widths = [width_of(i) for i in range(len(table.columns))]
    groups: list[list[int]] = [[0]]
    for i in range(1, len(widths)):
        if len(groups[-1]) > 1 and sum(widths[j] for j in groups[-1]) + widths[i] > width:
            groups.append([0])
        groups[-1].append(i)
    if len(groups) == 1:
        return [table]
    return [
        Table(
            table.title if number == 0 else "",
            [table.columns[i] for i in group],
            [[row[i] for i in group] for row in table.rows],
        )
        for number, group in enumerate(groups)
    ]


def plain_table(table: Table) -> list[str]:
    """Returns a table as lines of text, as wide as necessary."""
    rows = [[cell(value) for value in row] for row in table.rows]
    columns = list(table.columns)
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    numeric = numeric_columns(table)

    def line(cells: Sequence[str]) -> str:
        parts = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(cells, widths, numeric, strict=True)
        )
        return "  ".join(parts).rstrip()

    head = [table.title] if table.title else []
    return [*head, line(columns), *(line(row) for row in rows)]


def cell(value: Any) -> str:
    """Formats a value for a cell."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 1e5 else str(value)
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value)
    return str(value)


def numeric_columns(table: Table) -> list[bool]:
    """Returns whether each column holds numbers alone."""
    return [
        bool(table.rows)
        and all(
            row[i] is None or (isinstance(row[i], int | float) and not isinstance(row[i], bool)) for row in table.rows
        )
        and any(row[i] is not None for row in table.rows)
        for i in range(len(table.columns))
    ]
