"""Fields are found by the names that a person types, and stamps are instants, however they are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.imports.fields import UNSET, FieldError, column, extract, numbers, stack, stamp, stamps

KEYS = st.text("abc", min_size=1, max_size=2)
MESSAGES = st.recursive(st.integers(), lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3))


def leaves(message: Any, path: str = "") -> dict[str, int]:
    """By dotted name, all numbers of a message of mappings."""
    if not isinstance(message, dict):
        return {path: message}
    below = (leaves(inner, f"{path}.{key}" if path else key) for key, inner in message.items())
    return {name: leaf for each in below for name, leaf in each.items()}


def as_object(message: Any) -> Any:
    """The same with attributes in place of keys."""
    if not isinstance(message, dict):
        return message
    return SimpleNamespace(**{key: as_object(inner) for key, inner in message.items()})


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(KEYS, MESSAGES, min_size=1, max_size=3))
def test_every_number_of_a_message_is_found_by_its_name(message: dict[str, Any]) -> None:
    """In mappings, in objects, and where one key has the dots of the whole name."""
    for name, leaf in leaves(message).items():
        assert extract(message, name) == extract(as_object(message), name) == extract({name: leaf}, name) == leaf


@pytest.mark.parametrize("path", ["position[1]", "position[-2]", "position[elbow]", "arm.position[elbow]"])
def test_places_in_a_list_have_numbers_and_names(path: str) -> None:
    joints = {"name": ["hip", "elbow", "wrist"], "position": np.array([1.0, 2.0, 3.0])}
    message = {"name": ["elbow"], "arm": SimpleNamespace(**joints)} if path.startswith("arm") else joints
    assert extract(message, path) == 2.0


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("velocty", "has no field 'velocty'; did you mean 'velocity'?"),
        ("position[elbo]", r"has no field 'position\[elbo\]'; did you mean 'elbow'?"),
        ("position[7]", "it is an array of length 1"),
        ("position[[", "is no field"),
        ("_private", "has no field"),
    ],
)
def test_a_field_that_is_not_there_is_named(path: str, said: str) -> None:
    message = {"name": ["elbow"], "position": [0.0], "velocity": 1.0}
    for each in (message, SimpleNamespace(_private=1)) if path == "_private" else (message,):
        with pytest.raises(FieldError, match=said):
            extract(each, path)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 10**9))
def test_an_instant_is_the_same_in_every_form(milliseconds: int) -> None:
    ns = milliseconds * 10**6
    seconds, rest = divmod(ns, 10**9)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    forms: list[tuple[Any, str | None]] = [
        ({"sec": seconds, "nanosec": rest}, None),
        ({"secs": seconds, "nsecs": rest}, None),
        (ns, None),
        (milliseconds, "ms"),
        (milliseconds * 1000.0, "us"),
        (milliseconds / 1000, None),
        (moment.isoformat(), None),
        (moment.replace(tzinfo=None).isoformat(), None),
    ]
    assert {stamp(value, unit, "t") for value, unit in forms} == {ns}
    table = np.array([np.datetime64(milliseconds, "ms"), np.datetime64("NaT")])
    assert stamps(table, None, "t").tolist() == [ns, UNSET]


@pytest.mark.parametrize("value", [None, {"sec": 0, "nanosec": 0}, float("nan"), float("inf")])
def test_a_stamp_that_was_never_set_is_no_instant(value: Any) -> None:
    assert stamp(value, None, "t") == UNSET


@pytest.mark.parametrize(
    ("value", "said"), [("soon", "which is no time"), (10**19, "give its unit"), ([1, 2], "no times")]
)
def test_what_holds_no_time_is_refused(value: Any, said: str) -> None:
    with pytest.raises(FieldError, match=said):
        stamp(np.float64(value) if isinstance(value, int) else value, None, "t")


def test_a_column_of_a_table_has_parts_by_place_and_by_name() -> None:
    columns = {"q": np.arange(12).reshape(2, 3, 2), "t[s]": np.arange(2.0)}
    names = {"q": ["x", "y", "z"]}
    np.testing.assert_array_equal(column(columns, "q[y]", names), [[2, 3], [8, 9]])
    np.testing.assert_array_equal(column(columns, "q[-1][0]", names), [4, 10])
    np.testing.assert_array_equal(column(columns, "t[s]"), [0, 1])
    for path, said in (("q[3]", r"no place 3: it is \[3, 2\] a row"), ("q[y]", "give a place"), ("p", "no column 'p'")):
        with pytest.raises(FieldError, match=said):
            column(columns, path)


def test_numbers_of_a_field_are_an_array_of_one_shape() -> None:
    assert numbers({"x": 1.5, "y": 2}, "v").tolist() == [1.5, 2]
    assert numbers(b"\x01\xff", "data").tolist() == [1, 255]
    with pytest.raises(FieldError, match="is a message with x; name one of these"):
        numbers({"x": "text"}, "v")
    with pytest.raises(FieldError, match=r"changes its shape, from \[1\] to \[2\]"):
        stack([np.zeros(1), np.zeros(2)], "v")
