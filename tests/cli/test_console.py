"""Tables, progress and numbers as a person or a script sees them."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from itertools import count as counter
from pathlib import Path

import pytest

from rexcli.cli import console as console_module
from rexcli.cli.console import Console, Progress, count, seconds
from rexcli.runs.result import Result, Table, cell, fitting, plain_table


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_tables_are_aligned_and_never_cut() -> None:
    long = "x" * 200
    lines = plain_table(Table("title", ("name", "n"), [("a", 1), (long, 22)]))
    assert lines == ["title", "name" + " " * 196 + "   n", "a" + " " * 199 + "   1", f"{long}  22"]


def test_without_a_terminal_there_are_no_escape_codes() -> None:
    out = io.StringIO()
    Console(stdout=out).table(Table("t", ("a",), [(1,)]))
    assert out.getvalue() == "t\na\n1\n"


def test_a_terminal_gets_every_value_at_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = Terminal()
    Console(stdout=out).table(Table("", ("name", "value"), [("n" * 30, "v" * 100)]))
    assert out.getvalue().count("v") == 101
    assert "…" not in out.getvalue()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (0.123456, "0.1235"),
        (1234567, "1,234,567"),
        (float("nan"), "nan"),
        ([1, 2.5], "1, 2.5"),
    ],
)
def test_cells(value: object, text: str) -> None:
    assert cell(value) == text


@pytest.mark.parametrize(
    ("number", "text"), [(3, "3"), (950, "950"), (12_300, "12.3k"), (4.56e6, "4.56M"), (0.5, "0.5")]
)
def test_counts_are_short(number: float, text: str) -> None:
    assert count(number) == text


@pytest.mark.parametrize(("time", "text"), [(8, "8 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_stretches_of_time(time: float, text: str) -> None:
    assert seconds(time) == text


def run_progress(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, step: float, steps: int, quiet: bool = False
) -> str:
    clock = counter()
    monkeypatch.setattr(console_module.time, "monotonic", lambda: next(clock) * step)
    progress = Progress("train", steps, "updates", stream, quiet)
    for _ in range(steps):
        progress.advance(1, "return -3")
    progress.close()
    return stream.getvalue()


def test_short_work_shows_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_progress(monkeypatch, io.StringIO(), step=0.1, steps=10) == ""


def test_long_work_shows_rate_and_time_left_in_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = run_progress(monkeypatch, io.StringIO(), step=1.0, steps=40).splitlines()
    assert lines[0] == "train 5% 2/40 updates, 1/s, 38 s left  return -3"
    assert len(lines) == 4


def test_compilation_counts_for_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(console_module.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    progress = Progress("train", 1000, "steps", out, False)
    now[0] = 600.0  # compiled
    progress.begin(100)  # of a training that was stopped there
    now[0] = 602.0
    progress.update(120)
    assert out.getvalue() == "train 12% 120/1000 steps, 10/s, 1 min 28 s left\n"


def test_without_a_sign_of_how_fast_it_goes_no_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(console_module.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    progress = Progress("record", 10, "steps", out, False)
    now[0] = 100.0
    progress.update(5)
    assert out.getvalue() == "record 50% 5/10 steps\n"


def test_a_stage_is_named_while_a_person_waits_and_if_it_was_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(console_module.time, "monotonic", lambda: now[0])
    for stream, live in ((io.StringIO(), ""), (Terminal(), "\r\x1b[Kplan …\r\x1b[K")):
        console = Console(stderr=stream)
        with console.stage("plan"):
            assert stream.getvalue() == live.removesuffix("\r\x1b[K")
            now[0] += 3.25
        with console.stage("draw"):
            now[0] += 0.5
        assert stream.getvalue().startswith(f"{live}plan: 3.2 s\n")
        assert "draw:" not in stream.getvalue()


def test_a_terminal_gets_one_line_that_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = run_progress(monkeypatch, Terminal(), step=1.0, steps=40)
    assert "\n" not in shown
    assert shown.endswith("\r\x1b[K")


def test_quiet_shows_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_progress(monkeypatch, io.StringIO(), step=1.0, steps=40, quiet=True) == ""


def test_json_is_strict() -> None:
    out, err = io.StringIO(), io.StringIO()
    console = Console(as_json=True, stdout=out, stderr=err)
    console.note("hello")
    console.finish(Result({"a": float("nan"), "b": [1.0, float("inf")]}), command="x")
    assert json.loads(out.getvalue())["results"] == {"a": "NaN", "b": [1.0, "Infinity"]}
    assert err.getvalue() == "hello\n"


def test_what_was_shown_before_the_pictures_is_not_said_again() -> None:
    out, err = io.StringIO(), io.StringIO()
    console = Console(stdout=out, stderr=err)
    result = Result({"hold": 0.5}, path=Path("outputs/a"), tables=[Table("t", ["x"], [[1]])], warnings=["careful"])
    console.show(result)
    before = out.getvalue()
    assert "hold" in before
    console.finish(replace(result, shown=True), command="x")
    assert out.getvalue() == before + "outputs/a\n"
    assert err.getvalue() == "warning: careful\n"


def test_a_table_too_wide_for_the_terminal_comes_in_parts():
    table = Table("runs", ["run", *(f"metric {i}" for i in range(12))], [["outputs/a", *range(12)], ["b", *range(12)]])
    parts = fitting(table, 60)
    assert len(parts) > 1
    assert [part.columns[0] for part in parts] == ["run"] * len(parts)
    assert [name for part in parts for name in part.columns[1:]] == list(table.columns[1:])
    assert all(len(line) <= 60 for part in parts for line in plain_table(part))
    assert [value for part in parts for value in part.rows[0][1:]] == list(range(12))
    assert fitting(table, 1000) == [table]


@pytest.mark.parametrize("columns", [36, 37, 38, 39, 46])
def test_columns_give_way_before_a_name_is_broken(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    name, out = "r" * 30, Terminal()
    Console(stdout=out, stderr=io.StringIO()).table(
        Table("", ("run", "age", "hold"), [(name, "3 d", 0.9)], keep=1),
    )
    assert name in out.getvalue()
