"""Prints what a person or a script sees: tables, warnings, progress and the result of a command.

A terminal gets rich tables and a progress bar; otherwise there are plain, uncut lines without colours. Results go to
stdout, progress and warnings to stderr. With `--quiet`, only the run's folder goes to stdout; with `--json`, one JSON
object.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from rexcli.runs.result import Result, Table, cell, fitting, numeric_columns, plain_table

if TYPE_CHECKING:
    from rexcli.cli.live import LiveTraining

FIRST_AFTER = 2.0
"""Seconds after which a command shows its progress."""

PLAIN_EVERY = 10.0
"""Seconds between lines of progress without a terminal."""


class Console:
    """The output of a command.

    Args:
        quiet: print only errors, and at the end the run's folder.
        as_json: print one JSON object to stdout at the end, and everything else to stderr.
        stdout, stderr: streams; default: those of the process at the time of each call.
    """

    def __init__(
        self, quiet: bool = False, as_json: bool = False, stdout: IO[str] | None = None, stderr: IO[str] | None = None
    ):
        self.quiet = quiet
        self.as_json = as_json
        self._stdout = stdout
        self._stderr = stderr

    @property
    def stdout(self) -> IO[str]:
        return self._stdout or sys.stdout

    @property
    def stderr(self) -> IO[str]:
        return self._stderr or sys.stderr

    @property
    def _talk(self) -> IO[str]:
        """The stream for output that is not the result."""
        return self.stderr if self.as_json else self.stdout

    def note(self, text: str) -> None:
        """Prints a line about the progress of the work to stderr."""
        if not self.quiet:
            print(text, file=self.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Prints a warning to stderr."""
        if not self.quiet:
            print(f"warning: {text}", file=self.stderr, flush=True)

    def table(self, table: Table) -> None:
        """Prints a table."""
        if self.quiet:
            return
        if is_terminal(self._talk):
            parts = fitting(table, width())
            for part in parts:
                self._rich_table(part)
        else:
            parts = [table] if table.keep is None else fitting(table, width())
            print("\n".join(plain_table(parts[0])), file=self._talk, flush=True)
        if left := [name for name in table.columns if not any(name in part.columns for part in parts)]:
            self.note(f"no room for {', '.join(left)}; --columns all or --json shows all")

    def finish(self, result: Result, *, command: str, experiment: str | None = None) -> None:
        """Prints the end of a command's output: tables, warnings, values, and the run's folder."""
        if self.as_json:
            from rexcli.runs.formats import plain

            tables = {table.title: table.records() for table in result.tables}
            said = {
                "command": command,
                "experiment": experiment,
                "results": result.values,
                **({"tables": tables} if tables else {}),
                "warnings": list(result.warnings),
                "run": result.path,
            }
            print(json.dumps(plain(said), allow_nan=False), file=self.stdout, flush=True)
            return
        if self.quiet:
            for path in [result.path] if result.path is not None else result.paths:
                print(path, file=self.stdout, flush=True)
            return
        if not result.shown:
            self.show(result)
        if result.path is not None:
            print(shorten(result.path), file=self.stdout, flush=True)

    def show(self, result: Result) -> None:
        """Prints tables, warnings and values for people."""
        if self.quiet or self.as_json:
            return
        for table in result.tables:
            self.table(table)
            print(file=self.stdout)
        for warning in result.warnings:
            self.warn(warning)
        if result.values:
            self.table(Table("", ("result", "value"), list(result.values.items())))

    @contextmanager
    def progress(self, what: str, total: int, unit: str = "steps") -> Iterator[Progress]:
        """Shows the progress of a loop once it has taken two seconds: done of total, rate and time left.

        with console.progress("train", updates, "updates") as progress:
            for …:
                progress.advance(1, "return -312")
        """
        progress = Progress(what, total, unit, self.stderr, self.quiet)
        try:
            yield progress
        finally:
            progress.close()

    @contextmanager
    def training(self, total: int) -> Iterator[LiveTraining | TrainingLines]:
        """Shows a training: each seed's curve in a terminal, otherwise lines.

        Args:
            total: environment steps of all seeds.
        """
        if is_terminal(self.stderr) and not self.quiet:
            from rexcli.cli.live import LiveTraining

            with LiveTraining(total, self.stderr) as live:
                yield live
        else:
            with self.progress("train", total) as progress:
                yield TrainingLines(progress)

    @contextmanager
    def stage(self, what: str) -> Iterator[None]:
        """Names work whose progress cannot be counted, and prints how long it took if that was long."""
        began = time.monotonic()
        live = is_terminal(self.stderr) and not self.quiet
        if live:
            print(f"\r\x1b[K{what} …", end="", file=self.stderr, flush=True)
        try:
            yield
        finally:
            if live:
                print("\r\x1b[K", end="", file=self.stderr, flush=True)
        if (took := time.monotonic() - began) >= FIRST_AFTER:
            self.note(f"{what}: {took:.1f} s")

    def _rich_table(self, table: Table) -> None:
        from rich import box
        from rich.console import Console as Rich
        from rich.table import Table as RichTable

        drawn = RichTable(
            title=table.title or None,
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            collapse_padding=True,
        )
        numeric = numeric_columns(table)
        for column, right in zip(table.columns, numeric, strict=True):
            drawn.add_column(column, justify="right" if right else "left", overflow="fold")
        for row in table.rows:
            drawn.add_row(*(cell(value) for value in row))
        Rich(file=self._talk, markup=False, highlight=False).print(drawn)


class Progress:
    """The progress of a loop; see `Console.progress`."""

    def __init__(self, what: str, total: int, unit: str, stream: IO[str], quiet: bool):
        self.what, self.total, self.unit = what, total, unit
        self._stream, self._quiet = stream, quiet
        self._started = time.monotonic()
        self._first: float | None = None
        self._first_done = 0
        self._last = 0.0
        self._shown = 0.0
        self._terminal = is_terminal(stream)
        self.done = 0

    def begin(self, done: int = 0) -> None:
        """Starts the clock of the rate, which leaves out earlier work such as compilation; `done` was done before."""
        self._first, self._first_done, self.done = time.monotonic(), done, done

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Counts `amount` more as done, and shows `note` beside it."""
        self.update(self.done + amount, note)

    def update(self, done: int, note: str = "") -> None:
        """Sets how much is done in all, and shows `note` beside it."""
        now = time.monotonic()
        if self._first is None:
            self._first, self._first_done = now, done
        self.done, self._last = done, now
        every = 0.2 if self._terminal else PLAIN_EVERY
        waited = FIRST_AFTER if self._shown == 0 else every
        if self._quiet or now - (self._shown or self._started) < waited:
            return
        self._shown = now
        line = self._line(note)
        if self._terminal:
            self._stream.write(f"\r\x1b[K{line[: width() - 1]}")
        else:
            self._stream.write(f"{line}\n")
        self._stream.flush()

    def close(self) -> None:
        """Clears the progress bar."""
        if self._shown and self._terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    @property
    def rate(self) -> float | None:
        """The amount done per second since `begin` or the first report; None until more is done."""
        since, amount = self._last - (self._first or self._last), self.done - self._first_done
        return amount / since if amount > 0 and since > 0 else None

    def _line(self, note: str) -> str:
        pace = f", {count(self.rate)}/s, {seconds((self.total - self.done) / self.rate)} left" if self.rate else ""
        share = f"{min(1.0, self.done / self.total):.0%}" if self.total else ""
        text = f"{self.what} {share} {count(self.done)}/{count(self.total)} {self.unit}{pace}"
        return f"{text}  {note}" if note else text


class TrainingLines:
    """Shows a training as plain lines, where there is no terminal; see `rexcli.cli.live.LiveTraining`."""

    def __init__(self, progress: Progress):
        self._progress = progress

    def begin(self, done: int = 0) -> None:
        self._progress.begin(done)

    def evaluated(self, done: int, standing: Mapping[str, Sequence[float]]) -> None:
        parts = [f"{label} {' '.join(f'{value:.3g}' for value in values)}" for label, values in standing.items()]
        self._progress.update(done, "; ".join(parts))


def is_terminal(stream: IO[str]) -> bool:
    """Returns whether `stream` is a terminal."""
    import os

    return bool(getattr(stream, "isatty", lambda: False)()) and os.environ.get("TERM") != "dumb"


def count(number: float) -> str:
    """Formats a number of things in few characters: 950, 12.3k, 4.56M."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= limit:
            scale = 1e3 if letter == "k" else limit
            return f"{number / scale:.3g}{letter}"
    return f"{number:.0f}" if number >= 10 or number == int(number) else f"{number:.2g}"


def seconds(time_left: float) -> str:
    """Formats a duration, s: 8 s, 3 min 20 s, 2 h 5 min."""
    whole = round(time_left)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def shorten(path: Path) -> str:
    """Returns a path relative to the working directory if it lies inside."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def width() -> int:
    """Returns the width of the terminal in columns."""
    import shutil

    return shutil.get_terminal_size().columns
