"""Implements `--profile FILE`: shows where a command spends its time, as a table and as a trace for ui.perfetto.dev.

A thread samples the main thread's stack a hundred times a second. So every stage is seen, and the command takes hardly
longer than without it.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

from rexcli.errors import RexError

if TYPE_CHECKING:
    from rexcli.runs.result import Table

EVERY = 0.01
"""Seconds between two samples."""
PACKAGE = str(Path(__file__).parents[1]) + "/"
KINDS = (
    ("import", ("<frozen importlib._bootstrap>",)),
    ("XLA: compile", ("jax/_src/compiler.py", "jax/_src/compilation_cache.py")),
    ("JAX: lower", ("jax/_src/interpreters/mlir.py",)),
    ("JAX: trace", ("jax/_src/interpreters/partial_eval.py",)),
)
"""Kinds of work that are found by a file anywhere in the stack; the first that matches counts."""
LIBRARIES = (("/matplotlib/", "draw (Matplotlib)"), ("/hydra/", "compose (Hydra)"), ("/omegaconf/", "compose (Hydra)"))
"""Kinds of work by library, for a stack whose innermost file is not of this package, where no other kind matches."""


class StackSample(NamedTuple):
    """A sample of the main thread: its functions of this package, outermost first, and the kind of work."""

    seconds: float
    functions: tuple[str, ...]
    kind: str


def stack_sample(frame: FrameType | None, seconds: float) -> StackSample:
    """Returns the sample that a stack shows."""
    functions: list[str] = []
    files = []
    while frame is not None:
        file = frame.f_code.co_filename
        files.append(file)
        if file.startswith(PACKAGE):
            functions.append(f"{file.removeprefix(PACKAGE).removesuffix('.py')}: {frame.f_code.co_name}")
        frame = frame.f_back
    functions = [name for name in functions if not name.startswith(("cli/main:", "cli/commands:", "cli/profiler:"))]
    return StackSample(seconds, tuple(reversed(functions)), kind_of(files))


def kind_of(files: Sequence[str]) -> str:
    """Returns the kind of work of a stack with these files, innermost first."""
    for kind, parts in KINDS:
        if any(part in file for file in files for part in parts):
            return kind
    for place, file in enumerate(files):
        if file.startswith(PACKAGE):
            room = file.removeprefix(PACKAGE).removesuffix(".py").partition("/")[0]
            return f"{room}, in JAX" if any("/jax/" in inner for inner in files[:place]) else room
        for part, kind in LIBRARIES:
            if part in file:
                return kind
    return "other"


class Profiler:
    """Samples one thread, from `start` until `stop`.

    Attributes:
        samples: the samples so far, in order.
        seconds: time from the start to the stop.
    """

    def __init__(self) -> None:
        self.samples: list[StackSample] = []
        self.seconds = 0.0
        self._thread = threading.get_ident()
        self._stopped = threading.Event()
        self._began = time.perf_counter()
        self._looking = threading.Thread(target=self._look, name="rex-profile", daemon=True)

    def start(self) -> None:
        self._looking.start()

    def stop(self) -> None:
        self._stopped.set()
        self._looking.join()
        self.seconds = time.perf_counter() - self._began

    def _look(self) -> None:
        while not self._stopped.wait(EVERY):
            frame = sys._current_frames().get(self._thread)
            self.samples.append(stack_sample(frame, time.perf_counter() - self._began))


def durations(samples: Sequence[StackSample], seconds: float) -> list[float]:
    """Returns the time that each sample stands for, s: until the next one, the last until the end."""
    moments = [each.seconds for each in samples]
    return [after - before for before, after in itertools.pairwise([0.0, *moments[1:], seconds])] if moments else []


def table(samples: Sequence[StackSample], seconds: float) -> Table:
    """Returns a table of seconds and share of each kind of work, longest first."""
    from rexcli.runs.result import Table

    spent: Counter[str] = Counter()
    for each, took in zip(samples, durations(samples, seconds), strict=True):
        spent[each.kind] += took  # type: ignore[assignment]
    rows = [(kind, round(took, 2), f"{took / seconds:.0%}") for kind, took in spent.most_common()]
    return Table("where the time went", ("work", "s", "share"), [*rows, ("all", round(seconds, 2), "100%")])


def trace(samples: Sequence[StackSample], seconds: float) -> dict[str, object]:
    """Returns a trace in Chrome's format, which Perfetto opens, with slices for functions and kinds of work."""
    events: list[dict[str, Any]] = []
    opened: list[tuple[str, float]] = []

    def close(depth: int, until: float) -> None:
        while len(opened) > depth:
            name, since = opened.pop()
            events.append(
                {"name": name, "ph": "X", "pid": 1, "tid": 1, "ts": since * 1e6, "dur": (until - since) * 1e6}
            )

    begin = 0.0
    for each, took in zip(samples, durations(samples, seconds), strict=True):
        names = (*each.functions, each.kind)
        same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0][0] == pair[1], zip(opened, names, strict=False)))
        close(same, begin)
        opened += [(name, begin) for name in names[same:]]
        begin += took
    close(0, seconds)
    return {"traceEvents": sorted(events, key=lambda event: (event["ts"], -event["dur"])), "displayTimeUnit": "ms"}


def split(words: Iterable[str]) -> tuple[list[str], Path | None]:
    """Splits `--profile FILE` from a command line; returns the other words and the file.

    Raises:
        RexError: no file is named, or its folder does not exist.
    """
    rest: list[str] = []
    file = None
    given = iter(words)
    for word in given:
        if word == "--":
            return [*rest, word, *given], file
        if word != "--profile" and not word.startswith("--profile="):
            rest.append(word)
            continue
        name = next(given, "") if word == "--profile" else word.partition("=")[2]
        if not name or name.startswith("-"):
            raise RexError("command line: --profile: give the file for the trace, as --profile trace.json")
        file = Path(name)
        if file.is_dir() or not file.absolute().parent.is_dir():
            raise RexError(f"command line: --profile {name}: give a file in a folder that is there")
    return rest, file


@contextmanager
def profiling(file: Path | None) -> Iterator[None]:
    """Profiles the block, even if it ends with an error; does nothing if there is no file."""
    if file is None:
        yield
        return
    profiler = Profiler()
    profiler.start()
    try:
        yield
    finally:
        profiler.stop()
        from rexcli.cli.console import Console
        from rexcli.runs.storage import write_atomic

        write_atomic(file, json.dumps(trace(profiler.samples, profiler.seconds)).encode())
        Console(stdout=sys.stderr).table(table(profiler.samples, profiler.seconds))
        print(f"{file}: open it in ui.perfetto.dev", file=sys.stderr, flush=True)
