"""A condition holds of a run where it holds of the number, word or time that the run has."""

from __future__ import annotations

import operator
import random
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.errors import RexError
from rexcli.runs.filters import COMPARISONS, is_filter, order, parse_filter

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NUMBERS = st.integers(-3, 3) | st.floats(-3, 3, allow_nan=False)
SIGNS = {"=": "eq", "!=": "ne", ">": "gt", ">=": "ge", "<": "lt", "<=": "le"}


def run(started: datetime = NOW, **results: Any) -> Any:
    """What a filter looks at of a run."""
    config = {"ppo": {"lr": 1e-3, "net": "gru"}}
    fields = {"command": "train", "experiment": "arm", "seed": 7, "status": "done"}
    return SimpleNamespace(**fields, started=started.isoformat(), results=results, config=config)


@settings(max_examples=30, deadline=None)
@given(NUMBERS, st.sampled_from(sorted(SIGNS)), NUMBERS)
def test_numbers_compare_as_numbers_do(found: float, sign: str, wanted: float) -> None:
    condition = parse_filter(f"return_mean{sign}{wanted!r}")
    assert condition.holds(run(**{"return mean": found}), NOW) == getattr(operator, SIGNS[sign])(found, wanted)


@pytest.mark.parametrize(
    ("word", "holds"),
    [
        ("experiment=ar?", True),
        ("experiment!=ar?", False),
        ("experiment>aaa", False),
        ("ppo.net=gru", True),
        ("ppo.lr<=1e-3", True),
        ("swung=true", True),
        ("each>1.5", True),
        ("each>2", False),
    ],
)
def test_words_are_patterns_truths_are_numbers_and_lists_their_mean(word: str, holds: bool) -> None:
    assert parse_filter(word).holds(run(swung=True, each=[1.0, 3.0]), NOW) == holds


@pytest.mark.parametrize("sign", COMPARISONS)
def test_a_run_meets_no_condition_on_what_it_lacks(sign: str) -> None:
    assert not parse_filter(f"hold{sign}1").holds(run(), NOW)
    assert not parse_filter(f"ppo.gamma{sign}1").holds(run(), NOW)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 400), st.sampled_from([("2d", 48), ("1w", 168), ("1.5h", 1.5), ("2026-05-28T00:00:00+00:00", 96)])
)
def test_a_run_began_either_since_a_time_or_before_it(hours: int, bound: tuple[str, float]) -> None:
    began = run(NOW - timedelta(hours=hours))
    since, until = (parse_filter(f"{key}={bound[0]}").holds(began, NOW) for key in ("since", "until"))
    assert since != until
    assert since == (hours <= bound[1])


@pytest.mark.parametrize("word", ["hold", "hold>", "since>2d", "since=soon", "status=doen"])
def test_what_can_never_be_met_is_refused(word: str) -> None:
    with pytest.raises(RexError, match=r"no filter|no time|no run has this status; did you mean 'done'"):
        parse_filter(word)
    assert is_filter(word) == (word != "hold")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2), st.lists(st.text("xyz")), st.lists(NUMBERS), st.randoms())
def test_what_is_missing_comes_before_words_and_words_before_numbers(
    missing: int, words: list[str], numbers: list[float], shuffle: random.Random
) -> None:
    values = [*[None] * missing, *words, *numbers]
    shuffle.shuffle(values)
    assert sorted(values, key=order) == [*[None] * missing, *sorted(words), *sorted(numbers)]
