"""Writes `metrics.csv`, which every training has: one row per evaluation and seed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rexcli.rl.loggers.logger import LoggedRun, Logger
from rexcli.runs.formats import encode_csv
from rexcli.runs.storage import append, write_atomic

if TYPE_CHECKING:
    from rexcli.rl.train import Progress


class Csv(Logger):
    """Appends rows after each evaluation, so that a killed run keeps them."""

    def __init__(self) -> None:
        self._path = Path()
        self._names: list[str] = []

    def start(self, run: LoggedRun) -> None:
        self._path = run.path / "metrics.csv"
        if self._path.exists():
            head, *rows = self._path.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
            kept = [row for row in rows if row.count(",") == head.count(",") and _is_until(row, run.updates)]
            self._names = head.split(",")[3:] if kept else []
            write_atomic(self._path, "".join(f"{line}\n" for line in [head, *kept] if kept).encode())

    def log(self, progress: Progress) -> None:
        first = not self._names
        self._names = self._names or sorted(progress.metrics)
        rows = [
            [seed, progress.updates, progress.timesteps, *(float(progress.metrics[name][seed]) for name in self._names)]
            for seed in range(len(next(iter(progress.metrics.values()))))
        ]
        # on disk before the checkpoint that comes after it
        append(self._path, encode_csv(["seed", "update", "total_steps", *self._names] if first else None, rows))

    def artifacts(self) -> list[str]:
        return ["metrics.csv"] if self._path.is_file() else []


def _is_until(row: str, updates: int) -> bool:
    """Returns whether a row is of so many updates or fewer; a row that was cut short is of none."""
    number = row.split(",")[1:2]
    return bool(number) and number[0].isdecimal() and int(number[0]) <= updates
