"""Runs fuzzers: `python -m tests.fuzz.run --cases 5000 --seed 0 [--kind config] [--case 12]`.

The same seed gives the same cases. A table tells how many ran, with which exit codes, and what was found; each finding
with the command that runs its case alone and shows it.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz import checkpoints, configs, imports, policies, recordings, runs
from tests.fuzz.case import Case, Outcome
from tests.fuzz.driver import Laboratory

KINDS = {
    "config": configs.make,
    "run": runs.make,
    "policy": policies.make,
    "checkpoint": checkpoints.make,
    "recording": recordings.make,
    "import": imports.make,
}


@dataclass
class Report:
    """What came of the cases of one kind.

    Attributes:
        codes: how many ended with which exit code.
        found: by case, what was wrong with it.
        seconds: of all cases.
        slowest: seconds, of any case.
        most_memory: bytes, likewise.
    """

    kind: str
    codes: Counter[int | None] = field(default_factory=Counter)
    found: dict[int, tuple[Case, Outcome, list[str]]] = field(default_factory=dict)
    seconds: float = 0.0
    slowest: float = 0.0
    most_memory: int = 0

    def add(self, number: int, case: Case, outcome: Outcome, problems: list[str]) -> None:
        self.codes[outcome.code] += 1
        self.seconds += outcome.seconds
        self.slowest = max(self.slowest, outcome.seconds)
        self.most_memory = max(self.most_memory, outcome.memory)
        if problems:
            self.found[number] = (case, outcome, problems)

    def row(self) -> str:
        """A line of the table."""
        codes = ", ".join(f"{code}: {count}" for code, count in sorted(self.codes.items(), key=str))
        numbers = f"{self.kind:<11}{self.codes.total():>7}{len(self.found):>7}"
        seconds = f"{self.seconds / max(1, self.codes.total()):>8.2f}{self.slowest:>11.1f}"
        return f"{numbers}{seconds}{self.most_memory / 2**20:>9.0f}  {codes}"


def case_of(kind: str, seed: int, number: int, laboratory: Laboratory) -> Case:
    """The case of a kind and a number."""
    return KINDS[kind](random.Random(f"{seed}/{kind}/{number}"), laboratory)


def fuzz(
    laboratory: Laboratory, kinds: Sequence[str], cases: int, seed: int, *, first: int = 0, seconds: float = 1e9
) -> list[Report]:
    """Runs so many cases of each kind, or as many as there is time for; the kinds take turns.

    Args:
        laboratory: where.
        kinds: which.
        cases: how many of each.
        seed: of all random numbers.
        first: the number of the first case.
        seconds: after which no case begins.
    """
    reports = {kind: Report(kind) for kind in kinds}
    until = time.monotonic() + seconds
    for number in range(first, first + cases):
        if number % 50 == 0:
            print(f"case {number}, {until - time.monotonic():.0f} s left", file=sys.stderr)
        for kind, report in reports.items():
            if time.monotonic() > until:
                return list(reports.values())
            case = case_of(kind, seed, number, laboratory)
            outcome, problems = laboratory.run(case)
            report.add(number, case, outcome, problems)
            if problems:
                print(describe(case, outcome, problems, seed, number), flush=True)
    return list(reports.values())


def describe(case: Case, outcome: Outcome, problems: Sequence[str], seed: int, number: int) -> str:
    """What was found, and how to see it again."""
    last = [line for line in outcome.err.splitlines() if line][-1:]
    words = " ".join(word[:200] for word in case.words)
    return (
        f"{case.kind} {number}: {'; '.join(problems)}\n"
        f"  python -m tests.fuzz.run --kind {case.kind} --seed {seed} --case {number}\n"
        f"  {words!r}\n  {last!r}"[:900]
    )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=list(KINDS), action="append")
    parser.add_argument("--case", type=int, help="run this one alone, and show it")
    parser.add_argument("--seconds", type=float, default=1e9, help="after which no case begins")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    given = parser.parse_args()
    kinds = given.kind or list(KINDS)
    with tempfile.TemporaryDirectory() as folder:
        laboratory = Laboratory(Path(folder))
        try:
            if set(kinds) - {"config"}:
                laboratory.make_runs()
            if given.case is not None:
                return show(laboratory, kinds[0], given.seed, given.case)
            each = -(-given.cases // len(kinds))
            reports = fuzz(laboratory, kinds, each, given.seed, first=given.first, seconds=given.seconds)
        finally:
            laboratory.close()
    print("kind         cases  found  mean s  slowest s      MiB  exit codes")
    print("\n".join(report.row() for report in reports))
    return int(any(report.found for report in reports))


def show(laboratory: Laboratory, kind: str, seed: int, number: int) -> int:
    """Runs one case and prints all of it."""
    case = case_of(kind, seed, number, laboratory)
    outcome, problems = laboratory.run(case)
    original = {**laboratory.conf}
    for name, content in case.files.items():
        if original.get(name) != content and len(content or b"") < 20_000:
            print(f"--- {name}\n{content!r}")
    print(f"rex {' '.join(case.words)}\n{outcome.out}{outcome.err}exit code {outcome.code}; {problems}")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
