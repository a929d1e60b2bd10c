"""Where simulations begin."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rexcli.identify.segments import Segments, fitted_steps


@given(st.lists(st.integers(1, 200), min_size=1, max_size=4), st.integers(1, 60), st.floats(0, 0.9))
def test_segments_begin_where_they_say_and_hold_out_what_is_held_out(
    lengths: list[int], length: int, held_out: float
) -> None:
    steps = np.array(lengths)
    segments, fitted = Segments.of(steps, length, held_out), fitted_steps(steps, held_out)
    for episode, count in enumerate(steps):
        of_step = segments.of_step[episode, :count]
        assert ((of_step >= segments.fitted) == (np.arange(count) >= fitted[episode])).all()
        used, first, sizes = np.unique(of_step, return_index=True, return_counts=True)
        np.testing.assert_array_equal(segments.begin[episode, used], first)
        for part, size in (
            (used < segments.fitted, fitted[episode]),
            (used >= segments.fitted, count - fitted[episode]),
        ):
            assert (sizes[part] >= min(length, size)).all()
            assert (sizes[part] < 2 * length).all()
        assert (np.delete(segments.begin[episode], used) == count).all()


def test_without_a_length_a_simulation_goes_on_through_what_is_held_out() -> None:
    segments = Segments.of(np.array([40, 30]), None, 0.25)
    assert segments.begin.tolist() == [[0], [0]]
    assert not segments.of_step.any()
    assert segments.held_out == 0
