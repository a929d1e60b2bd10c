"""What is taken of a topic is the same whether it comes message by message or as a table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.imports.fields import FieldError
from rexcli.imports.topics import Collector, Wanted, topic_of_columns

ROWS = st.lists(st.tuples(st.integers(0, 2**60), st.tuples(*[st.floats(allow_nan=False)] * 2)), min_size=1, max_size=4)


@settings(max_examples=30, deadline=None)
@given(ROWS, st.booleans())
def test_messages_and_a_table_of_them_are_one_topic(rows: list[tuple[int, tuple[float, ...]]], published: bool) -> None:
    wanted = Wanted({"q": None, "q[1]": None}, {("t", "ns"): None})
    collector = Collector("arm", "json", wanted)
    for number, (time, q) in enumerate(rows):
        collector.add({"t": time, "q": list(q), "other": "text"}, 5 + number, number if published else None)
    one = collector.topic()
    columns = {"t": np.array([time for time, _ in rows]), "q": np.array([q for _, q in rows])}
    log = np.arange(len(rows)) + 5
    other = topic_of_columns("arm", "csv", wanted, columns, log=(log, "row"))
    assert len(one) == len(other) == len(rows)
    for mine, its in ((one.values, other.values), (one.stamps, other.stamps)):
        assert list(mine) == list(its)
        for key in mine:
            np.testing.assert_array_equal(mine[key], its[key])
    np.testing.assert_array_equal(one.log, other.log)
    assert (one.published is not None) == published


def test_a_header_that_nobody_asks_for_is_told() -> None:
    message = {"header": {"stamp": {"sec": 3, "nanosec": 1}}, "x": 1}
    for stamps, unused in (({}, "header.stamp"), ({("header.stamp", None): None}, None)):
        collector = Collector("imu", "json", Wanted({"x": None}, dict(stamps)))
        collector.add(message, 7)
        assert collector.topic().unused == unused
    with pytest.raises(FieldError, match="has no field 'y'"):
        Collector("imu", "json", Wanted({"y": None})).add(message, 7)
