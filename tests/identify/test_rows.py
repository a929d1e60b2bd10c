"""Every recorded value that a step simulates is compared with it, and no other."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.identify.recorded import Signal
from rexcli.identify.rows import Rows
from rexcli.identify.segments import Segments, fitted_steps


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(1, 2), st.integers(1, 3)), min_size=1, max_size=2),
    st.floats(0, 0.9),
    st.integers(0, 2**32 - 1),
)
def test_rows_are_the_recorded_values_of_the_ticks_that_steps_simulate(
    lengths: list[int], shapes: list[tuple[int, int]], held_out: float, seed: int
) -> None:
    rng, steps = np.random.default_rng(seed), np.array(lengths)
    episodes, most, recorded = len(steps), steps.max(), 7
    signals, ticks = [], []
    for index, (width, window) in enumerate(shapes):
        values, there = rng.normal(size=(episodes, recorded, width)), rng.random((episodes, recorded)) < 0.7
        signals.append(Signal(f"n.{index}", "n", str(index), values, there, bool(index), 1.0, 1.0))
        ticks.append((rng.integers(-1, recorded, (episodes, most, window)), rng.random((episodes, most, window))))
    segments = Segments.of(steps, 2, held_out)
    rows = Rows.of(steps, signals, ticks, segments, held_out)
    expected = [
        (index, episode, step, ts[episode, step, slot], value, place)
        for index, (signal, (seq, ts)) in enumerate(zip(signals, ticks, strict=True))
        for place, (episode, step, slot, part) in enumerate(np.ndindex(*seq.shape, signal.values.shape[2]))
        if step < steps[episode] and (tick := seq[episode, step, slot]) >= 0 and signal.there[episode, tick]
        for value in [signal.values[episode, tick, part]]
    ]
    found = (rows.signal, rows.episode, rows.step, rows.time, rows.recorded, np.concatenate(rows.places))
    assert list(zip(*found, strict=True)) == expected
    assert rows.size == len(expected)
    np.testing.assert_array_equal(rows.segment, segments.of_step[rows.episode, rows.step])
    np.testing.assert_array_equal(rows.fitted, rows.step < fitted_steps(steps, held_out)[rows.episode])
    np.testing.assert_array_equal(rows.angle, rows.signal == 1)
