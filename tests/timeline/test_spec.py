"""What a clock can be told, and that its times are exact at the extremes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.timeline.spec import (
    LONGEST_DELAY,
    NEVER,
    RATES,
    Jitter,
    nanoseconds,
    wrong_choice,
    wrong_delay,
    wrong_loss,
    wrong_rate,
    wrong_window,
)
from tests.timeline.systems import systems


@pytest.mark.parametrize(
    ("wrong", "right", "other"),
    [
        (wrong_delay, (0, LONGEST_DELAY), (-1e-9, 2 * LONGEST_DELAY, math.nan, math.inf)),
        (wrong_rate, RATES, (0.0, RATES[0] / 2, 2 * RATES[1], -1.0, math.nan)),
        (wrong_window, (1, 10**9), (0, -1)),
        (wrong_loss, (0, 0.5, 1, np.float32(0.1)), (-0.1, 1.1, math.nan, True, "0.1", None)),
        (lambda word: wrong_choice(word, Jitter), ("latest", "buffer"), ("newest", "")),
    ],
    ids=["delay", "rate", "window", "loss", "choice"],
)
def test_what_no_clock_can_do_is_told_what_to_give(wrong, right, other):
    assert [wrong(value) for value in right] == [None] * len(right)
    assert all(wrong(value).startswith("give ") for value in other)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, round(LONGEST_DELAY)), st.integers(0, 10**6))
def test_seconds_become_the_nearest_nanosecond(seconds, micros):
    assert nanoseconds(seconds + micros * 1e-6) == seconds * 10**9 + micros * 1000
    assert nanoseconds(LONGEST_DELAY) < NEVER


@settings(max_examples=10, deadline=None)
@given(systems(largest=4))
def test_every_edge_goes_out_of_one_node_and_into_one(spec):
    for ends, of in ((spec.inputs, "target"), (spec.outputs, "source")):
        found = [edge for node in spec.nodes for edge in ends(node.name)]
        assert sorted(edge.name for edge in found) == sorted(edge.name for edge in spec.edges)
        for node in spec.nodes:
            assert all(getattr(edge, of) == node.name for edge in ends(node.name))
            assert list(ends(node.name)) == [edge for edge in spec.edges if edge in ends(node.name)]
    assert all(spec.node(node.name) == node for node in spec.nodes)
    assert all(spec.edge(edge.name) == edge for edge in spec.edges)
