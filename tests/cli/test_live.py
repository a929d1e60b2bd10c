"""A training as a person watches it: what is drawn, at any width, and that piped it is lines."""

from __future__ import annotations

import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexcli.cli.console import Console
from rexcli.cli.live import BLOCKS, LiveTraining, sparkline


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Ascii(Terminal):
    encoding = "ascii"


def watched(
    seeds: int = 5, evaluations: int = 12, stream: io.StringIO | None = None
) -> tuple[LiveTraining, list[float]]:
    now = [0.0]
    live = LiveTraining(12_000, stream or Terminal(), clock=lambda: now[0])
    now[0] = 30.0
    live.begin()
    for number in range(1, evaluations + 1):
        now[0] = 30.0 + number
        standing = {"return": [-100.0 + number * 10 + 10 * seed for seed in range(seeds)], "hold": [0.5] * seeds}
        live.evaluated(1000 * number, {**standing, "kl": [math.nan] * seeds})
    return live, now


def lines(live: LiveTraining, width: int) -> list[str]:
    return live.drawn(width).plain.split("\n")


def test_the_stage_is_named_until_the_first_evaluation():
    now = [0.0]
    live = LiveTraining(1000, Terminal(), clock=lambda: now[0])
    now[0] = 12.0
    assert lines(live, 80) == ["train  compile … 12 s"]
    live.begin()
    now[0] = 15.0
    assert "first evaluation … 3 s" in lines(live, 80)[0]


def test_rate_and_time_left_count_from_the_compiled_program_on_and_run_down():
    live, now = watched(evaluations=4)
    assert " 33%  8 s left  1000/s  4000/12k steps" in lines(live, 100)[0]
    now[0] += 3
    assert " 5 s left" in lines(live, 100)[0]
    now[0] += 30
    assert " 0 s left" in lines(live, 100)[0]


def test_a_seed_has_its_curve_and_newest_numbers():
    head, *rows = lines(watched(evaluations=8, seeds=2)[0], 80)[1:]
    assert head.split() == ["return", "hold", "kl"]
    assert rows[0].split() == ["seed", "0", "▁▂▃▄▅▆▇█", "-20", "0.5", "nan"]
    assert rows[1].split()[2] == "▂▃▄▅▆▇██"  # on one scale


@pytest.mark.parametrize("seeds", [1, 5, 40])
@given(width=st.integers(20, 200), evaluations=st.integers(0, 100))
def test_no_line_is_wider_than_the_terminal(seeds, width, evaluations):
    live, _ = watched(seeds, evaluations)
    assert max(map(len, lines(live, width))) <= max(width, 40)
    assert len(lines(live, width)) <= 14


def test_a_terminal_without_blocks_gets_letters():
    "\n".join(lines(watched(stream=Ascii())[0], 80)).encode("ascii")


@given(st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), max_size=200), st.integers(1, 60))
def test_a_curve_is_as_long_as_it_may_be_and_has_a_gap_where_nothing_is_finite(values, length):
    curve = sparkline(values, length, -1e6, 1e6)
    assert len(curve) <= length
    assert set(curve) <= set(BLOCKS + " ")
    if len(values) <= length:
        assert [mark == " " for mark in curve] == [math.isnan(value) for value in values]


def test_a_terminal_is_left_clean_and_notes_stand_above(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    with Console(stderr=stream).training(1000) as live:
        live.begin()
        live.evaluated(500, {"return": [1.0, 2.0]})
    text = stream.getvalue()
    assert "seed 1" in text
    assert text.endswith(("\x1b[2K", "\x1b[1A\x1b[2K", "\x1b[?25h"))


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_and_movement_can_be_refused(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    stream = Terminal()
    with Console(stderr=stream).training(1000) as live:
        live.begin()
        live.evaluated(500, {"return": [1.0, 2.0]})
    assert "\x1b[3" not in stream.getvalue()
    if variable == "TERM":
        assert "\x1b" not in stream.getvalue()


def test_piped_it_is_lines(monkeypatch):
    from rexcli.cli import console as module

    now = [1.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    with Console(stderr=stream).training(1000) as bar:
        bar.begin()
        now[0] = 21.0
        bar.evaluated(500, {"return": [1.0, 2.0], "kl": [0.001, 0.002]})
    assert stream.getvalue() == "train 50% 500/1000 steps, 25/s, 20 s left  return 1 2; kl 0.001 0.002\n"
