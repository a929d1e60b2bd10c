"""Extracts fields of foreign messages: `linear_acceleration.x`, `position[2]`, `position[elbow]`, and stamps."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np

from rexcli.errors import suggest
from rexcli.timeline.timeline import Times

UNSET = np.iinfo(np.int64).min
"""Stands for a stamp that was never set; ROS leaves those at 0."""

UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_SECONDS, _NANOSECONDS = ("sec", "secs"), ("nanosec", "nsec", "nsecs", "nanosecs")
_TOKEN = re.compile(r"([^.\[\]]+)|\[([^\[\]]+)\]")


class FieldError(ValueError):
    """A missing or unusable field; its text follows the topic's name."""


@lru_cache
def tokens(path: str) -> tuple[tuple[str, bool], ...]:
    """Splits a path into steps: a name, and whether it stands in brackets."""
    found = [(name or index, not name) for name, index in _TOKEN.findall(path)]
    if not found or _TOKEN.sub("", path).strip("."):
        raise FieldError(f"'{path}' is no field; write it as linear_acceleration.x or position[2]")
    return tuple(found)


def extract(message: Any, path: str) -> Any:
    """Returns one field of a message, which is a mapping or an object with attributes.

    `position[elbow]` is the element of `position` at the index at which the field `name` holds `elbow`, as in
    JointState.

    Raises:
        FieldError: there is no such field.
    """
    steps, value, beside, at = tokens(path), message, message, 0
    while at < len(steps):
        name, bracketed = steps[at]
        if bracketed:
            value = _item(value, name, _names(beside), path)
            at += 1
            continue
        beside = value
        if isinstance(value, Mapping):  # its keys may contain dots
            ends = range(len(steps), at, -1)
            keys = ((".".join(step for step, _ in steps[at:end]), end) for end in ends if not _bracket(steps[at:end]))
            name, at = next(((key, end) for key, end in keys if key in value), (name, at + 1))
            if name not in value:
                raise FieldError(f"has no field '{path}'{suggest(name, [str(key) for key in value])}")
            value = value[name]
            continue
        if name.startswith("_") or not hasattr(value, name):
            raise FieldError(f"has no field '{path}'{suggest(name, field_names(value))}")
        value, at = getattr(value, name), at + 1
    return value


def field_names(message: Any) -> list[str]:
    """Returns the names of a message's fields."""
    if isinstance(message, Mapping):
        return [str(key) for key in message]
    if dataclasses.is_dataclass(message):
        return [field.name for field in dataclasses.fields(message) if not field.name.startswith("_")]
    return []


def numbers(value: Any, path: str) -> np.ndarray:
    """Returns a field as an array; a message of numbers only, such as a Vector3, becomes a vector.

    Raises:
        FieldError: the field holds something else.
    """
    if dataclasses.is_dataclass(value) or isinstance(value, Mapping):
        names = field_names(value)
        value = [value[name] if isinstance(value, Mapping) else getattr(value, name) for name in names]
        if not all(isinstance(item, bool | int | float | np.generic) for item in value):
            raise FieldError(f"field '{path}' is a message with {', '.join(names)}; name one of these")
    if isinstance(value, bytes | bytearray):
        value = np.frombuffer(value, np.uint8)
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise FieldError(f"field '{path}' holds no numbers")
    return array


def stack(rows: Sequence[np.ndarray], path: str) -> np.ndarray:
    """Stacks the arrays of all messages, `[messages, ...]`.

    Raises:
        FieldError: their shapes differ.
    """
    shapes = {row.shape for row in rows}
    if len(shapes) > 1:
        a, b = sorted(shapes)[:2]
        raise FieldError(f"field '{path}' changes its shape, from {list(a)} to {list(b)}; name single numbers of it")
    return np.stack(rows) if rows else np.zeros(0)


def column(
    columns: Mapping[str, np.ndarray], path: str, names: Mapping[str, Sequence[str]] | None = None
) -> np.ndarray:
    """Returns a column of a table, or with `[…]` after its name a part of one, `[rows, ...]`.

    Args:
        names: names of the numbers in a column, if they have names.

    Raises:
        FieldError: there is no such column.
    """
    base, brackets = path, list[str]()
    while base not in columns and base.endswith("]") and "[" in base:
        base, _, last = base[:-1].rpartition("[")
        brackets.insert(0, last)
    if base not in columns:
        raise FieldError(f"has no column '{path}'{suggest(path, list(columns))}")
    value = columns[base]
    for name in brackets:
        index = _index(name, (names or {}).get(base, ()), path)
        if value.ndim < 2 or not -value.shape[1] <= index < value.shape[1]:
            raise FieldError(
                f"column '{base}' has no place {index}: it is {list(value.shape[1:]) or 'one number'} a row"
            )
        value = value[:, index]
    return value


def stamp(value: Any, unit: str | None, path: str) -> int:
    """Converts a stamp to ns: seconds and nanoseconds, a number, or ISO 8601 text; `UNSET` if it was never set.

    Args:
        unit: unit of plain numbers, one of `UNITS`; None for seconds if they are real, and nanoseconds if they are
            integers.
    """
    if value is None:
        return UNSET
    names = field_names(value)
    seconds, rest = (next((name for name in known if name in names), None) for known in (_SECONDS, _NANOSECONDS))
    if seconds and rest:
        whole, part = int(extract(value, seconds)), int(extract(value, rest))
        return whole * UNITS["s"] + part if whole or part else UNSET
    if isinstance(value, str):
        return _iso(value, path)
    return int(stamps(numbers(value, path)[None], unit, path)[0])


def stamps(values: np.ndarray, unit: str | None, path: str) -> Times:
    """Converts a column of stamps to ns, `[rows]`; see `stamp`."""
    if values.dtype.kind == "M":
        whole = values.astype("datetime64[ns]").astype(np.int64)
        return np.where(np.isnat(values), UNSET, whole)
    if values.dtype.kind in "US":
        return np.array([_iso(str(value), path) for value in values], np.int64)
    if values.dtype.kind not in "iuf" or values.ndim != 1:
        raise FieldError(f"field '{path}' holds no times")
    scale = UNITS[unit or ("s" if values.dtype.kind == "f" else "ns")]
    given = np.isfinite(values)
    most = np.abs(np.where(given, values, 0).astype(np.float64)).max(initial=0.0) * scale
    if most >= 2**62:
        raise FieldError(f"field '{path}' holds {most / scale:g}, which is no time; give its unit, unit: ns")
    if values.dtype.kind != "f":
        return values.astype(np.int64) * scale
    return np.where(given, np.rint(np.where(given, values, 0).astype(np.float64) * scale), UNSET).astype(np.int64)


def _iso(text: str, path: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise FieldError(f"field '{path}' holds '{text[:40]}', which is no time") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000


def _bracket(steps: Sequence[tuple[str, bool]]) -> bool:
    return any(bracketed for _, bracketed in steps)


def _names(message: Any) -> Sequence[str]:
    names = message.get("name", ()) if isinstance(message, Mapping) else getattr(message, "name", ())
    return [str(name) for name in names] if isinstance(names, list | tuple | np.ndarray) else ()


def _index(name: str, names: Sequence[str], path: str) -> int:
    if re.fullmatch(r"-?\d{1,9}", name):
        return int(name)
    if name not in names:
        known = suggest(name, list(names)) if len(names) else "; its numbers have no names, so give a place, [0]"
        raise FieldError(f"has no field '{path}'{known}")
    return list(names).index(name)


def _item(value: Any, name: str, names: Sequence[str], path: str) -> Any:
    index = _index(name, names, path)
    try:
        return value[index]
    except (IndexError, TypeError, KeyError):
        length = len(value) if hasattr(value, "__len__") else 1
        raise FieldError(f"has no field '{path}': it is an array of length {length}") from None
