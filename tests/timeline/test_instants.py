"""What has ended at a supervisor tick, against the rule applied tick by tick."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from rexcli.timeline.instants import ended
from rexcli.timeline.spec import EdgeTiming, NodeTiming, SystemTiming
from rexcli.timeline.timeline import Messages, Steps, Timeline
from tests.compiler.timelines import MS, by_hand, timelines


def one_by_one(timeline: Timeline, episode: int) -> dict[str, list[int]]:
    """The rule, for each supervisor tick and each tick of each node."""
    spec = timeline.spec
    newest = {edge.name: timeline.newest(edge)[episode] for edge in spec.edges}
    instants = timeline.steps[spec.supervisor].start[episode, : timeline.steps[spec.supervisor].count[episode]]

    def counts(node: str, tick: int, p: int, seen: dict[tuple[str, int], bool]) -> bool:
        if tick < 0:
            return True
        if node == spec.supervisor:
            return tick < p
        if (node, tick) not in seen:
            steps = timeline.steps[node]
            seen[node, tick] = bool(
                tick < steps.count[episode]
                and steps.end[episode, tick] <= instants[p]
                and counts(node, tick - 1, p, seen)
                and all(counts(e.source, int(newest[e.name][tick]), p, seen) for e in spec.inputs(node))
            )
        return seen[node, tick]

    found: dict[str, list[int]] = {node.name: [] for node in spec.nodes if node.name != spec.supervisor}
    for p in range(len(instants)):
        seen: dict[tuple[str, int], bool] = {}
        for name, column in found.items():
            tick = 0
            while tick < timeline.steps[name].count[episode] and counts(name, tick, p, seen):
                tick += 1
            column.append(tick)
    return found


@given(timeline=timelines(max_nodes=5, max_steps=6))
@settings(max_examples=60, deadline=None)
def test_ended_is_the_rule_applied_tick_by_tick(timeline):
    got = ended(timeline)
    for episode in range(timeline.num_episodes):
        for name, want in one_by_one(timeline, episode).items():
            row = got[name][episode]
            assert row[: len(want)].tolist() == want
            assert (row[len(want) :] == want[-1]).all()


def test_what_takes_no_time_has_ended_at_the_instant_at_which_it_starts():
    assert {name: counts.tolist() for name, counts in ended(by_hand()).items()} == {
        "a": [[2, 4, 5]],
        "b": [[1, 2, 3]],
    }


def test_what_waits_for_the_decision_of_that_instant_has_not_ended():
    # The supervisor s takes no time, and neither do the message and the step of node a, which waits for it.
    at = np.array([[10, 20, 30]], np.int64) * MS
    steps = {name: Steps(at, at, np.array([3])) for name in ("s", "a")}
    spec = SystemTiming((NodeTiming("s", 100.0), NodeTiming("a", 100.0)), (EdgeTiming("s_a", "s", "a"),), "s")
    timeline = Timeline(spec, steps, {"s_a": Messages(at, np.array([[0, 1, 2]]))})
    assert ended(timeline)["a"].tolist() == [[0, 1, 2]]


def test_what_is_under_way_has_not_ended():
    at = np.array([[10, 20, 30]], np.int64) * MS
    late = Steps(at - 5 * MS, at + np.array([[0, 1, 0]]) * MS, np.array([3]))
    spec = SystemTiming((NodeTiming("s", 100.0), NodeTiming("a", 100.0)), (), "s")
    timeline = Timeline(spec, {"s": Steps(at, at, np.array([3])), "a": late}, {})
    assert ended(timeline)["a"].tolist() == [[1, 1, 3]]
