"""The first tick with NaN is found, in whatever pieces the ticks come."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.runtime.nan import NanPlace, NanSearch, may_be_nan, named
from tests.timeline.by_hand import edge, node, system

SPEC = system(node("b"), node("a"), edge("a", "b"), supervisor="b")
"""Of ticks of both that start together, b's may depend on a's."""
FIELDS = ("state", "output")


def sound(seq: np.ndarray) -> dict[str, Any]:
    return {field: {"x": np.zeros((len(seq), 2), np.float32), "count": seq} for field in FIELDS}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 3), st.sampled_from("ab"), st.sampled_from(FIELDS)),
        min_size=1,
        max_size=4,
    ),
    st.data(),
)
def test_the_first_is_found_whatever_comes_first(broken, data):
    """Each piece is some ticks of one node in one episode; tick k of either starts at 10 k ms."""
    cuts = [0, *sorted(data.draw(st.sets(st.integers(1, 3)))), 4]
    pieces = [(e, n, range(*part)) for e in (0, 1) for n in "ab" for part in pairwise(cuts)]
    search = NanSearch(SPEC)
    for episode, name, ticks in data.draw(st.permutations(pieces)):
        seq = np.array(ticks)
        fields = sound(seq)
        for at, tick, of, field in broken:
            if (at, of) == (episode, name) and tick in ticks:
                fields[field]["x"][tick - ticks[0], 1] = np.nan
        search.look(name, episode, seq, seq * 10_000_000, fields)
    episode, tick, name, field = min(broken, key=lambda each: (*each[:3], FIELDS.index(each[3])))
    assert search.first == NanPlace(name, f"{field}.x", tick, tick / 100, episode)


def test_what_an_episode_begins_with_comes_before_its_first_tick() -> None:
    search, seq = NanSearch(SPEC), np.array([0])
    search.look("a", 1, seq, seq, {"state": {"x": np.array([np.nan])}})
    assert search.first is not None
    assert str(search.first) == "node 'a': state.x is NaN in step 0, at 0 s of episode 1, and nothing before it"
    search.begin(1, SimpleNamespace(state={"a": {"x": np.float32(0)}, "b": np.float32(np.nan)}))  # type: ignore[arg-type]
    assert str(search.first) == "node 'b': state is NaN as episode 1 begins; see init_state"


@pytest.mark.parametrize(
    ("dtype", "may_be"), [("float16", True), ("complex64", True), ("int32", False), ("bool", False)]
)
def test_numbers_that_may_be_nan(dtype: str, may_be: bool) -> None:
    assert may_be_nan(np.zeros(2, dtype)) == may_be
    assert [named("state", path) for path in ("", "a.b")] == ["state", "state.a.b"]
