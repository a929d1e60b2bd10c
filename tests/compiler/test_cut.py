"""Cuts of a timeline that was worked out by hand."""

from __future__ import annotations

import numpy as np

from rexcli.compiler.cut import cut
from tests.compiler.timelines import by_hand


def test_required_is_what_the_supervisor_depends_on():
    cuts = cut(by_hand())
    assert cuts.nodes == ("a", "b")
    # s0 reads b0, which reads a0; s1 reads b1, which reads a1 and a2; s2 reads b2, which reads a3.
    np.testing.assert_array_equal(cuts.required, [[[1, 3, 4]], [[1, 2, 3]]])
    np.testing.assert_array_equal(cuts.length, [3])


def test_started_is_what_starts_before_the_supervisor():
    # At 10, 20 and 30 ms; tick 4 of a is pruned, since nothing reads it.
    np.testing.assert_array_equal(cut(by_hand()).started, [[[2, 4, 4]], [[1, 2, 3]]])
    np.testing.assert_array_equal(cut(by_hand(), prune=False).started, [[[2, 4, 5]], [[1, 2, 3]]])


def test_pruned_are_ticks_that_no_supervisor_tick_depends_on():
    assert cut(by_hand()).pruned == {"a": 1, "b": 0}
    whole = cut(by_hand(), prune=False)
    assert whole.pruned == {}
    np.testing.assert_array_equal(whole.required, whole.started)


def test_ahead_lets_ticks_run_before_they_start():
    # b1 starts after s0 but needs only a0 to a2, b2 only a3.
    np.testing.assert_array_equal(cut(by_hand(), lookahead=1).started, [[[4, 4, 4]], [[2, 3, 3]]])
    np.testing.assert_array_equal(cut(by_hand(), lookahead=9).started, [[[4, 4, 4]], [[3, 3, 3]]])


def test_ahead_waits_for_the_supervisor():
    timeline = by_hand()
    edges = (*timeline.spec.edges, type(timeline.spec.edges[0])("s_a", "s", "a"))
    spec = type(timeline.spec)(timeline.spec.nodes, edges, "s")
    arrive = timeline.steps["s"].start
    # a2 (12 ms) reads s0 (10 ms), a4 reads s1.
    messages = {**timeline.messages, "s_a": type(timeline.messages["a_b"])(arrive, np.array([[2, 4, -1]]))}
    looped = cut(type(timeline)(spec, timeline.steps, messages), lookahead=9)
    np.testing.assert_array_equal(looped.started, [[[2, 4, 4]], [[1, 3, 3]]])


def test_needs_count_the_source_ticks_that_a_tick_reads():
    cuts = cut(by_hand())
    assert cuts.needs[0] == ()
    ((source, needs),) = cuts.needs[1]
    assert source == 0
    np.testing.assert_array_equal(needs, [[1, 3, 4]])
