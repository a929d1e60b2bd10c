"""A table fits a terminal without losing a cell, or with the loss of those columns that may give way."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.runs.result import Table, fitting, numeric_columns, plain_table

CELLS = st.none() | st.booleans() | st.integers() | st.floats() | st.text("xyz", max_size=12)
HEADS = st.lists(st.text("abc", min_size=1, max_size=12), min_size=1, max_size=7, unique=True)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    columns = draw(HEADS)
    rows = draw(st.lists(st.tuples(*[CELLS] * len(columns)), max_size=3))
    return Table("", columns, rows)


@settings(max_examples=20, deadline=None)
@given(tables(), st.integers(1, 100))
def test_parts_of_a_table_have_every_column_once_behind_the_first(table: Table, width: int) -> None:
    parts = fitting(table, width)
    assert [part.columns[0] for part in parts] == [table.columns[0]] * len(parts)
    assert [name for part in parts for name in part.columns[1:]] == list(table.columns[1:])
    for number, row in enumerate(table.rows):
        assert [cell for part in parts for cell in part.rows[number][1:]] == list(row[1:])
    for part in parts:
        assert len(part.columns) <= 2 or max(map(len, plain_table(part))) <= width


@settings(max_examples=40, deadline=None)
@given(tables(), st.integers(1, 50), st.data())
def test_columns_that_may_give_way_do_so_where_there_is_no_room(table: Table, width: int, data: st.DataObject) -> None:
    keep = data.draw(st.integers(1, len(table.columns)))
    (part,) = fitting(Table(table.title, table.columns, table.rows, keep), width)
    assert list(part.columns[:keep]) == list(table.columns[:keep])
    assert [name for name in table.columns if name in part.columns] == list(part.columns)
    if len(part.columns) > keep:
        assert max(map(len, plain_table(part))) <= width


@settings(max_examples=20, deadline=None)
@given(tables())
def test_numbers_stand_to_the_right_and_words_to_the_left(table: Table) -> None:
    numeric, lines = numeric_columns(table), plain_table(table)
    for place, right in enumerate(numeric):
        kinds = {type(row[place]) for row in table.rows} - {type(None)}
        assert right == (bool(kinds) and kinds <= {int, float})
    if all(numeric):
        assert len({len(line) for line in lines}) == 1
