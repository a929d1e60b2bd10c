"""Selects runs by conditions such as `status=done`, `hold>0.9`, `since=2d`, `ppo.lr<=1e-3`. It only reads data."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from rexcli.errors import RexError, suggest
from rexcli.runs.plain_yaml import flatten
from rexcli.runs.view import RunView

FIELDS = ("command", "experiment", "seed", "status")
"""Fields that every run has, besides its results and its configuration."""

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
UNITS = {"min": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
STATUSES = ("running", "done", "failed", "interrupted", "killed")

_GRAMMAR = re.compile(r"(?P<key>[^=<>!]+)(?P<sign>!=|>=|<=|=|>|<)(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True)
class Filter:
    """One condition on a run, as it was typed.

    Attributes:
        text: the condition, such as `hold>0.9`.
        key: a field of `FIELDS`, `since`, `until`, a result, or a dotted key of the configuration.
        sign: one of `COMPARISONS`.
        value: what follows the sign.
    """

    text: str
    key: str
    sign: str
    value: str

    def holds(self, view: RunView, now: datetime) -> bool:
        """Returns whether the run meets the condition. A run without the key does not, whatever the sign."""
        if self.key in ("since", "until"):
            started, bound = datetime.fromisoformat(view.started), moment(self, now)
            return started >= bound if self.key == "since" else started < bound
        found = value_of(view, self.key)
        return found is not None and self._compare(found)

    def _compare(self, found: Any) -> bool:
        wanted = _number(self.value)
        number = rank(found)
        if wanted is not None and (math.isfinite(number) or isinstance(found, int | float)):
            return COMPARISONS[self.sign](number, wanted)
        if self.sign not in ("=", "!="):
            return False
        text = {True: "true", False: "false"}[found] if isinstance(found, bool) else str(found)
        return fnmatchcase(text, self.value) == (self.sign == "=")


def is_filter(word: str) -> bool:
    """Returns whether a word is a condition and not the name of a folder."""
    return _GRAMMAR.fullmatch(word) is not None


def parse_filter(word: str) -> Filter:
    """Parses a condition such as `hold>0.9`.

    Raises:
        RexError: the word is no condition, or its value can never be met.
    """
    match = _GRAMMAR.fullmatch(word)
    if match is None or not match["value"]:
        raise RexError(f"'{word}': this is no filter; write KEY=VALUE, such as status=done, 'hold>0.9' or since=2d")
    parsed = Filter(word, match["key"].strip(), match["sign"], match["value"].strip())
    if parsed.key in ("since", "until"):
        moment(parsed, datetime.now().astimezone())
    if parsed.key == "status" and not any(fnmatchcase(status, parsed.value) for status in STATUSES):
        raise RexError(f"{word}: no run has this status{suggest(parsed.value, list(STATUSES))}")
    return parsed


def moment(condition: Filter, now: datetime) -> datetime:
    """Returns the time that `since=2d` or `since=2026-11-20` means."""
    match = re.fullmatch(r"([0-9.]+)\s*(min|h|d|w)", condition.value)
    try:
        if condition.sign != "=":
            raise ValueError
        if match:
            return now - timedelta(seconds=float(match[1]) * UNITS[match[2]])
        return datetime.fromisoformat(condition.value).astimezone()
    except (ValueError, OverflowError):
        fix = "give 30min, 12h, 2d, 1w, or a date such as 2026-11-20"
        raise RexError(f"{condition.text}: this is no time; {fix}") from None


def select(views: Sequence[RunView], filters: Sequence[Filter]) -> list[RunView]:
    """Returns the runs that meet all filters, in their order; damaged runs are left out.

    Raises:
        RexError: a filter names a key that none of the runs has.
    """
    now = datetime.now().astimezone()
    for condition in filters:
        kept, known = [], condition.key in ("since", "until") or not views
        for view in views:
            try:
                known = known or value_of(view, condition.key) is not None
                if condition.holds(view, now):
                    kept.append(view)
            except (RexError, ValueError):
                continue
        if not known:
            names = [*FIELDS, "since", "until", *dict.fromkeys(name for view in views for name in view.results)]
            raise RexError(f"{condition.text}: no run has '{condition.key}'{suggest(condition.key, names)}")
        views = kept
    return list(views)


def value_of(view: RunView, key: str) -> Any:
    """Returns a field, a result (`return mean` also as `return_mean`) or a configuration leaf; None if missing."""
    if key in FIELDS:
        return getattr(view, key)
    results = view.results
    for name in (key, key.replace("_", " ")):
        if name in results:
            return results[name]
    return flatten(view.config).get(key) if "." in key else None


def rank(value: Any) -> float:
    """Returns a result as a number to compare: the mean of a list, and minus infinity for what is not a number."""
    if isinstance(value, list):
        ranks = [number for number in map(rank, value) if math.isfinite(number)]
        return sum(ranks) / len(ranks) if ranks else -math.inf
    try:
        number = float(value)
    except (TypeError, ValueError):
        return -math.inf
    return -math.inf if math.isnan(number) else number


def order(value: Any) -> tuple[int, float, str]:
    """Returns a sort key for values of any kind: missing ones, then words, then numbers and lists by their mean."""
    if value is None:
        return 0, 0.0, ""
    number = rank(value)
    return (2, number, "") if number > -math.inf else (1, 0.0, str(value))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return {"true": 1.0, "false": 0.0}.get(text)
