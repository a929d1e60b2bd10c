"""What is kept of nodes that run together is what is kept of each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.compiler.node_records import NodeRecord, flat, kept_as, own_entries
from rexcli.system.states import Inputs

NAMES = ("a", "b", "c")


def record(entries: np.ndarray) -> Any:
    """A record whose every leaf is these entries, or they plus one."""
    fields = {"state": {"x": entries + 1.0}, "inputs": Inputs("a", {"eye": entries})}
    return NodeRecord(entries, entries + 1.0, fields)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True), st.data())
def test_nodes_of_a_batch_are_kept_in_one_where_the_same_is_of_all(names, data):
    fields = st.sampled_from([("state",), ("state", "output")])
    keep = data.draw(st.dictionaries(st.sampled_from(NAMES), fields))
    owners = kept_as([SimpleNamespace(node=name) for name in names], keep)
    assert [name for each in owners for name in each] == [name for name in names if name in keep]
    assert all(len({keep[name] for name in each}) == 1 for each in owners)
    if set(names) <= set(keep) and len({keep[name] for name in names}) == 1:
        assert len(owners) == 1


def test_each_node_has_its_own_entries_under_its_own_name():
    for axis in (0, 1):
        entries = np.arange(6).reshape(3, 2) if axis == 0 else np.arange(6).reshape(2, 3)
        for index, name in enumerate(NAMES):
            own = own_entries(record(entries), name, index, axis)
            want = entries.take(index, axis)
            np.testing.assert_array_equal(own.seq, want)
            np.testing.assert_array_equal(own.fields["state"]["x"], want + 1.0)
            np.testing.assert_array_equal(own.fields["inputs"]["eye"], want)
            assert own.fields["inputs"].node == name


def test_rows_come_one_after_another_with_all_slots_of_each():
    entries = np.arange(6).reshape(3, 2)
    found = flat(record(np.stack([entries, 10 * entries], axis=2)))
    np.testing.assert_array_equal(found.seq, [[k, 10 * k] for k in range(6)])
    np.testing.assert_array_equal(found.fields["state"]["x"], found.seq + 1.0)
