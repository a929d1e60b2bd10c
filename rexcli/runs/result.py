"""What a command ends with: numbers, a run's folder and tables, and how a table's cells are written as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Table:
    """A table: cells are text or numbers; numbers are set to the right.

    Attributes:
        title: above it.
        columns: heads, with units.
        rows: as long as `columns`.
        keep: how many columns must be shown; the others give way where there is no room. None: all must.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    keep: int | None = None

    def records(self) -> list[dict[str, Any]]:
        """One mapping a row, for JSON."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Result:
    """What a command ends with.

    Attributes:
        values: the numbers to show last, by name with unit.
        path: the run's folder; None for a command that leaves none.
        tables: shown before the values.
        warnings: what looks wrong, a line each.
        objective: what a sweeper should minimise or maximise.
        paths: folders that the tables speak of, for scripts.
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
    """A table as tables no wider than a terminal: its columns in turns, the first one in each.

    Of one whose columns may give way, only those for which there is room, in one table.
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
    """A table as lines of text, as wide as it must be."""
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
    """A value as a table shows it."""
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
    """Which columns hold numbers alone."""
    return [
        bool(table.rows)
        and all(
            row[i] is None or (isinstance(row[i], int | float) and not isinstance(row[i], bool)) for row in table.rows
        )
        and any(row[i] is not None for row in table.rows)
        for i in range(len(table.columns))
    ]
