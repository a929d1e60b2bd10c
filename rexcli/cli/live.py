"""Shows a training in a terminal: a progress bar, the time left, and each seed's curve in block characters.

The drawing depends only on the numbers and the terminal's width; rich redraws it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import IO, TYPE_CHECKING, Any

from rexcli.cli.console import count, seconds

if TYPE_CHECKING:
    from rich.text import Text

BLOCKS, PLAIN_BLOCKS = "▁▂▃▄▅▆▇█", "_.-=+*%#"
COLOURS = ("blue", "yellow", "green", "magenta", "cyan", "red")
MOST_SEEDS = 10
"""Most seeds that have a line of their own."""

LONGEST_CURVE = 60


class LiveTraining(AbstractContextManager["LiveTraining"]):
    """A view of a training in the terminal.

    Args:
        total: environment steps of all seeds.
        stream: the terminal.
        clock: returns the time, s; for tests.
    """

    def __init__(self, total: int, stream: IO[str], clock: Callable[[], float] = time.monotonic):
        self._total, self._stream, self._clock = total, stream, clock
        self._began = clock()
        self._first: float | None = None
        self._updated = self._began
        self._first_done = self._done = 0
        self._columns: dict[str, list[Sequence[float]]] = {}
        self._live: Any = None

    def __enter__(self) -> LiveTraining:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._stream, highlight=False)
        self._live = Live(
            get_renderable=lambda: self.drawn(console.width),
            console=console,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
        )
        self._live.__enter__()
        return self

    def __exit__(self, *ended: Any) -> None:
        self._live.__exit__(*ended)

    def begin(self, done: int = 0) -> None:
        """Starts the clock of the rate, once the program is compiled; `done` steps were done already."""
        self._first = self._updated = self._clock()
        self._first_done = self._done = done

    def evaluated(self, done: int, standing: Mapping[str, Sequence[float]]) -> None:
        """Shows the state of the training after an evaluation.

        Args:
            done: environment steps of all seeds so far.
            standing: a number for each seed by label; the first label is drawn as a curve.
        """
        self._done, self._updated = done, self._clock()
        for label, values in standing.items():
            self._columns.setdefault(label, []).append(list(values))

    def drawn(self, width: int) -> Text:
        """Returns all lines, none wider than `width`."""
        from rich.text import Text

        width = max(20, width)
        lines = [self._bar(width), *self._table(width)]
        text = Text("\n").join(lines)
        text.no_wrap, text.overflow = True, "crop"
        return text

    def _bar(self, width: int) -> Text:
        from rich.text import Text

        now, dots = self._clock(), "…" if self._has_blocks() else "..."
        if self._first is None:
            return Text(f"train  compile {dots} {seconds(now - self._began)}"[:width])
        share = min(1.0, self._done / self._total) if self._total else 1.0
        said = f"{share:4.0%}"
        amount, since = self._done - self._first_done, self._updated - self._first
        parts = [f"{count(self._done)}/{count(self._total)} steps"]
        if amount > 0 and since > 0:
            rate = amount / since
            left = max(0.0, (self._total - self._done) / rate - (now - self._updated))
            parts = [f"{seconds(left)} left", f"{count(rate)}/s", *parts]
        else:
            parts = [f"first evaluation {dots} {seconds(now - self._first)}", *parts]
        for part in parts:
            if len(said) + 2 + len(part) + 14 <= width:
                said += f"  {part}"
        length = min(40, width - len(said) - 8)
        full = round(share * length)
        filled, empty = ("━", "─") if self._has_blocks() else ("=", "-")
        text = Text("train ")
        text.append(filled * full, "green")
        text.append(empty * (length - full), "dim")
        return text.append(f" {said}")

    def _table(self, width: int) -> list[Text]:
        """Returns a line per seed: the curve of the first label, and the newest numbers of as many labels as fit."""
        from rich.text import Text

        if not self._columns:
            return []
        labels = list(self._columns)
        newest = {label: self._columns[label][-1] for label in labels}
        seeds = len(newest[labels[0]])
        shown = range(min(seeds, MOST_SEEDS))
        names = [f"seed {seed}" if seeds > 1 else "" for seed in shown]
        first = max(map(len, names))
        cells = {label: [f"{newest[label][seed]:.4g}" for seed in shown] for label in labels}
        sizes = {label: max(len(label), *map(len, cells[label])) for label in labels}
        kept, taken = [], first + 2 + 8  # a curve shows at least eight evaluations
        for label in labels:
            if taken + sizes[label] + 2 <= width:
                kept.append(label)
                taken += sizes[label] + 2
        history = self._columns[labels[0]]
        length = max(8, min(LONGEST_CURVE, width - (taken - 8)))
        length = min(length, max(8, len(history)))
        head = " " * (first + 2) + labels[0][:length].ljust(length)
        for label in kept:
            head += f"  {('' if label == labels[0] else label).rjust(sizes[label])}"
        lines = [Text(head, "bold")]
        low, high = _range([value for row in history for value in row])
        blocks = BLOCKS if self._has_blocks() else PLAIN_BLOCKS
        for seed in shown:
            line = Text(names[seed].ljust(first) + "  ")
            curve = sparkline([row[seed] for row in history], length, low, high, blocks)
            line.append(curve.ljust(length), COLOURS[seed % len(COLOURS)])
            for label in kept:
                line.append(f"  {cells[label][seed].rjust(sizes[label])}")
            lines.append(line)
        if seeds > MOST_SEEDS:
            lines.append(Text(f"and {seeds - MOST_SEEDS} more seeds", "dim"))
        return lines

    def _has_blocks(self) -> bool:
        try:
            (BLOCKS + "━─…").encode(getattr(self._stream, "encoding", None) or "utf-8")
        except (UnicodeEncodeError, LookupError):
            return False
        return True


def sparkline(values: Sequence[float], length: int, low: float, high: float, blocks: str = BLOCKS) -> str:
    """Returns a curve in block characters, with a space for values that are not finite.

    There is one block for each value, or for the mean of several if there are more than `length`.
    """
    size = max(1, math.ceil(len(values) / length))
    text = ""
    for start in range(0, len(values), size):
        finite = [value for value in values[start : start + size] if math.isfinite(value)]
        if not finite:
            text += " "
            continue
        share = (sum(finite) / len(finite) - low) / (high - low) if high > low else 0.5
        text += blocks[min(len(blocks) - 1, int(max(0.0, share) * len(blocks)))]
    return text


def _range(values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)]
    return (min(finite), max(finite)) if finite else (0.0, 1.0)
