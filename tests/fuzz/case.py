"""One input of a fuzzer, and what is asserted of how the program takes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CODES = (0, 1, 2, 130, 143)
"""The exit codes that the README lists."""

SECONDS = 30.0
"""Of CPU that a case may take; five times as long by the clock, for the machine may have other work."""

MEMORY = 2 * 2**30
"""Bytes that a case may take beyond what the process held before."""

LONGEST = 1000
"""Characters of a line of error."""

RAW = "REX_TRACEBACK=1 shows more"
"""Follows an error that the program does not know as one of its own."""

CANARY = "canary.txt"
"""The file in the project that `nodes.canary` writes when it is imported."""


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes:
        kind: of which fuzzer.
        words: a command line of `rex`, or the name of a reader of `tests.fuzz.readers` and a path.
        files: contents by path in the project, in place of what is there; None for a file that is missing.
        names: an error must hold one of them.
        reads: the command only reads, so it must execute nothing that a file names.
        reader: `words` are a reader's.
    """

    kind: str
    words: tuple[str, ...]
    files: dict[str, bytes | None] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    reads: bool = False
    reader: bool = False


@dataclass(frozen=True)
class Outcome:
    """How the program took a case.

    Attributes:
        code: its exit code; None where it took far longer than `SECONDS` and was killed, or died.
        out: what it printed.
        err: the same on stderr.
        seconds: of CPU that it took.
        memory: bytes, at most, beyond what the process held before.
    """

    code: int | None
    out: str
    err: str
    seconds: float
    memory: int


def problems(case: Case, outcome: Outcome, project: Path, kept: set[Path]) -> Iterator[str]:
    """What is wrong with an outcome; nothing where all is well.

    Args:
        case: the input.
        outcome: what came of it.
        project: the folder that it ran in.
        kept: folders of runs that were there before, beside those that the case brings.
    """
    if outcome.code is None:
        yield "no answer in time, or the process died"
        return
    if outcome.code not in CODES:
        yield f"exit code {outcome.code}"
    if "Traceback (most recent call last)" in outcome.err + outcome.out:
        yield "a traceback"
    if outcome.seconds > SECONDS:
        yield f"{outcome.seconds:.0f} s"
    if outcome.memory > MEMORY:
        yield f"{outcome.memory / 2**30:.1f} GiB of memory"
    if outcome.code in (1, 2):
        yield from _wrong_with_error(case, outcome)
    given = {(project / name).parent for name in case.files if name.endswith("run.json")}
    yield from _wrong_with_runs(outcome, project, kept | given)
    if case.reads and (project / CANARY).exists():
        yield "code that a file names was executed"


def _wrong_with_error(case: Case, outcome: Outcome) -> Iterator[str]:
    lines = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    if outcome.code == 1 and re.search(r"^\d+ of \d+ jobs are not done; ", outcome.err, re.MULTILINE):
        return  # a sweep, whose table says of each job what is wrong with it
    if len(lines) != 1:
        yield f"{len(lines)} lines of error"
        return
    (line,) = lines
    if RAW in line:
        yield "an error that is not the program's own"
    if len(line) > LONGEST:
        yield f"a line of {len(line)} characters"
    if case.names and not any(name in line for name in case.names):
        yield "an error that names neither file nor key"


def _wrong_with_runs(outcome: Outcome, project: Path, kept: set[Path]) -> Iterator[str]:
    outputs = project / "outputs"
    for path in outputs.rglob(".rex-tmp-*"):
        yield f"{path.name} was left behind"
    for file in outputs.rglob("run.json"):
        if file.parent in kept:
            continue
        if outcome.code == 2:
            yield "a run of what was declared wrong"
        elif json.loads(file.read_text())["status"] not in ("done", "failed", "interrupted"):
            yield "a run without an end"
