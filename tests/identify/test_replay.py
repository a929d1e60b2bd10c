"""What nodes sent in several recordings is one array of all their episodes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli import RexError
from rexcli.identify.replay import recorded_output, stacked


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 5)), min_size=1, max_size=3), st.sampled_from([(), (2,)]))
def test_episodes_stand_one_after_another_and_zeros_behind_the_shorter(
    sizes: list[tuple[int, int]], shape: tuple[int, ...]
) -> None:
    arrays = [np.random.default_rng(number).normal(size=(*size, *shape)) for number, size in enumerate(sizes)]
    whole, first = stacked(arrays), 0
    for array in arrays:
        episodes, ticks = array.shape[:2]
        np.testing.assert_array_equal(whole[first : first + episodes, :ticks], array)
        assert not whole[first : first + episodes, ticks:].any()
        first += episodes
    assert whole.shape == (first, max(ticks for _, ticks in sizes), *shape)


def test_a_node_that_was_not_recorded_is_refused_with_the_nearest() -> None:
    spec = SimpleNamespace(nodes=[SimpleNamespace(name="sensor")])
    recording = SimpleNamespace(path="run", spec=spec, values=lambda node, field: {field: node})
    assert recorded_output(recording, "sensor") == {"output": "sensor"}  # type: ignore[arg-type]
    with pytest.raises(RexError, match="run: node 'sensr' was not recorded; did you mean 'sensor'"):
        recorded_output(recording, "sensr")  # type: ignore[arg-type]
