"""A bounded share of the fuzzers, and what they must see where something is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.case import MEMORY, Case, Outcome, problems
from tests.fuzz.driver import Laboratory
from tests.fuzz.run import KINDS, fuzz

GOOD = Outcome(2, "", "error: conf/a.yaml: mend it\n", 0.1, 0)


@pytest.mark.parametrize(
    ("outcome", "found"),
    [
        (GOOD, []),
        (Outcome(0, "", "", 0.1, 0), []),
        (Outcome(None, "", "", 60.0, 0), ["no answer in time, or the process died"]),
        (Outcome(3, "", "", 0.1, 0), ["exit code 3"]),
        (Outcome(0, "", "Traceback (most recent call last):\n", 0.1, 0), ["a traceback"]),
        (Outcome(0, "", "", 31.0, 0), ["31 s"]),
        (Outcome(0, "", "", 0.1, 2 * MEMORY), ["4.0 GiB of memory"]),
        (Outcome(2, "", "", 0.1, 0), ["0 lines of error"]),
        (Outcome(2, "", 2 * GOOD.err, 0.1, 0), ["2 lines of error"]),
        (
            Outcome(1, "", "error: a.yaml; REX_TRACEBACK=1 shows more", 0.1, 0),
            ["an error that is not the program's own"],
        ),
        (Outcome(2, "", f"error: a.yaml{1000 * '!'}", 0.1, 0), ["a line of 1013 characters"]),
        (Outcome(2, "", "error: no", 0.1, 0), ["an error that names neither file nor key"]),
    ],
)
def test_what_is_wrong_with_an_outcome_is_seen(outcome: Outcome, found: list[str], tmp_path: Path) -> None:
    case = Case("config", ("show",), names=("a.yaml",))
    assert list(problems(case, outcome, tmp_path, set())) == found


def test_half_made_runs_and_executed_code_are_seen(tmp_path: Path) -> None:
    run = tmp_path / "outputs" / "a" / "record" / "one"
    run.mkdir(parents=True)
    (run / ".rex-tmp-1-a").touch()
    (run / "run.json").write_text('{"status": "running"}')
    (tmp_path / "canary.txt").touch()
    done = Outcome(0, "", "", 0.1, 0)
    left, executed = ".rex-tmp-1-a was left behind", "code that a file names was executed"
    case = Case("run", ("ls",), reads=True)
    assert list(problems(case, done, tmp_path, set())) == [left, "a run without an end", executed]
    assert list(problems(case, done, tmp_path, {run})) == [left, executed]
    assert list(problems(case, GOOD, tmp_path, set())) == [left, "a run of what was declared wrong", executed]


@pytest.mark.slow
def test_nothing_that_a_person_types_or_a_disk_holds_makes_it_stumble(tmp_path: Path) -> None:
    laboratory = Laboratory(tmp_path)
    try:
        laboratory.make_runs()
        reports = fuzz(laboratory, list(KINDS), cases=1000, seed=0, seconds=22)
    finally:
        laboratory.close()
    assert all(report.codes.total() > 0 for report in reports)
    assert not [(report.kind, number, found) for report in reports for number, (*_, found) in report.found.items()]
