from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.errors import RexError
from rexcli.timeline.edit import augment, check_rules, drop
from rexcli.timeline.spec import NEVER
from rexcli.timeline.timeline import Messages, Steps, Timeline
from tests.random_systems import systems
from tests.timeline.by_hand import MS, Given, arrivals, edge, node, readers, run, starts, system

ROBOT = system(node("sensor"), node("agent"), edge("sensor", "agent", blocking=True), supervisor="agent")
WITH_WORLD = system(
    *ROBOT.nodes,
    node("world", 50),
    *ROBOT.edges,
    edge("world", "sensor", blocking=True),
    edge("agent", "world", skip=True),
    supervisor="agent",
)


def test_dropping_a_node_drops_its_edges_and_no_more():
    whole = run(WITH_WORLD, world=3)
    robot = drop(whole, nodes=["world"])
    assert robot.spec == ROBOT
    assert set(robot.messages) == {"sensor>agent"}
    assert robot.steps["sensor"] is whole.steps["sensor"]


def test_dropping_an_edge_keeps_its_nodes():
    rest = drop(run(WITH_WORLD), edges=["agent>world"])
    assert set(rest.steps) == {"sensor", "agent", "world"}
    assert set(rest.messages) == {"sensor>agent", "world>sensor"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"nodes": ["wrold"]}, "drop: no node is called 'wrold'; did you mean 'world'"),
        ({"edges": ["agent"]}, "drop: no edge is called 'agent'"),
        ({"nodes": ["agent"]}, "drop: node 'agent' is the supervisor"),
    ],
)
def test_what_cannot_be_dropped(names, message):
    with pytest.raises(RexError, match=message):
        drop(run(WITH_WORLD), **names)


def test_a_world_around_a_recorded_robot():
    """The robot was recorded from 1 on, not at 0. The world runs by its schedule until the robot's last start, 31.

    The sensor should have waited for the world's message i at its tick 2 i, but it ran at 1, 11, 21, 31.

    world message | arrives at | the tick that should wait | read by
    0             |     0 + 5  |            0              |  1  (11, the first start after 5)
    1             |    20 + 5  |            2              |  3  (31)
    """
    recorded = run(ROBOT, steps=3)
    late = Timeline(
        ROBOT,
        {name: Steps(steps.start + MS, steps.end + MS, steps.count) for name, steps in recorded.steps.items()},
        {name: Messages(each.arrive + MS, each.reader) for name, each in recorded.messages.items()},
    )
    whole = augment(late, WITH_WORLD, Given({"world>sensor": 5, "agent>world": 2}))
    assert whole.spec == WITH_WORLD
    assert whole.steps["sensor"] is late.steps["sensor"]
    assert whole.messages["sensor>agent"] is late.messages["sensor>agent"]
    assert starts(whole, "world") == [0, 20]
    assert readers(whole, "world>sensor") == [1, 3]
    assert arrivals(whole, "agent>world") == [3, 13, 23, 33]
    assert readers(whole, "agent>world") == [1, 1, -1, -1]


def test_a_new_node_waits_for_what_was_recorded():
    """The recorded agent is slow: a new node that blocks on it follows its recorded ends, 15, 30, 45, 60."""
    recorded = run(ROBOT, steps=3, agent=15)
    spec = system(*ROBOT.nodes, node("arm"), *ROBOT.edges, edge("agent", "arm", blocking=True), supervisor="agent")
    whole = augment(recorded, spec, Given({"agent>arm": 1}))
    assert starts(whole, "agent") == [0, 15, 30, 45]
    assert starts(whole, "arm") == [16, 31]
    assert readers(whole, "agent>arm") == [0, 1, -1, -1]


def test_a_new_node_does_not_run_past_what_was_recorded():
    """The recorded agent waited until 105 for its second message, after the episode's end: no tick of arm for it."""
    spec = replace(ROBOT, supervisor="sensor")
    recorded = run(spec, steps=3, sensor__agent=[0, 95])
    assert starts(recorded, "agent") == [0]
    more = replace(spec, nodes=(*spec.nodes, node("arm")), edges=(*spec.edges, edge("agent", "arm", blocking=True)))
    assert starts(augment(recorded, more, Given({})), "arm") == [0]


def test_recorded_nodes_may_run_ahead_of_their_schedule():
    """Scheduled at 0, 10, 20, 30, the agent ran at 0, 5, 10, 15 and the sensor yet faster: tick k reads message k."""
    recorded = run(ROBOT, steps=3)
    faster = {"sensor": 4, "agent": 2}
    steps = {
        name: Steps(each.start // faster[name], each.end // faster[name], each.count)
        for name, each in recorded.steps.items()
    }
    messages = recorded.messages["sensor>agent"]
    early = Timeline(ROBOT, steps, {"sensor>agent": Messages(messages.arrive // 4, messages.reader)})
    more = replace(ROBOT, edges=(*ROBOT.edges, edge("sensor", "agent", name="twin", blocking=True)))
    whole = augment(early, more, Given({}))
    assert arrivals(whole, "twin") == [0, 2.5, 5, 7.5]
    assert readers(whole, "twin") == [0, 1, 2, 3]


def test_episodes_of_unequal_length_keep_their_ends():
    """The second episode was stopped after one step: what is added ends there, and waits for nothing beyond."""
    recorded = run(ROBOT, steps=3)
    steps = {}
    for name, each in recorded.steps.items():
        start, end = np.repeat(each.start, 2, axis=0), np.repeat(each.end, 2, axis=0)
        start[1, 2:] = end[1, 2:] = NEVER
        steps[name] = Steps(start, end, np.array([4, 2]))
    arrive, reader = (np.repeat(each, 2, axis=0) for each in vars(recorded.messages["sensor>agent"]).values())
    arrive[1, 2:], reader[1, 2:] = NEVER, -1
    spec = system(*ROBOT.nodes, node("arm"), *ROBOT.edges, edge("agent", "arm", blocking=True), supervisor="agent")
    whole = augment(Timeline(ROBOT, steps, {"sensor>agent": Messages(arrive, reader)}), spec, Given({}, episodes=2))
    assert whole.steps["arm"].count.tolist() == [4, 2]
    assert whole.messages["agent>arm"].reader.tolist() == [[0, 1, 2, 3], [0, 1, -1, -1]]
    assert whole.messages["agent>arm"].arrive[1].tolist() == [0, 10 * MS, NEVER, NEVER]


def test_augment_refuses_a_system_without_what_was_recorded():
    recorded = run(WITH_WORLD)
    with pytest.raises(RexError, match="augment: recorded node 'world' is not in the system; add it or drop it"):
        augment(recorded, ROBOT, Given({}))
    fewer = replace(WITH_WORLD, edges=WITH_WORLD.edges[:-1])
    with pytest.raises(RexError, match="augment: recorded edge 'agent>world' is not in the system"):
        augment(recorded, fewer, Given({}))
    moved = edge("sensor", "world", name="agent>world", skip=True)
    with pytest.raises(RexError, match="was recorded from agent to world, not from sensor to world"):
        augment(recorded, replace(fewer, edges=(*fewer.edges, moved)), Given({}))


def test_augment_refuses_an_endless_loop():
    spec = replace(WITH_WORLD, edges=tuple(replace(each, skip=False) for each in WITH_WORLD.edges))
    with pytest.raises(RexError, match="loop without skip: sensor -> agent -> world -> sensor"):
        augment(run(ROBOT), spec, Given({}))


CHANGES = {
    "nodes": {"rate": 7.5, "scheduling": ("frequency", "phase"), "advance": (False, True)},
    "edges": {"blocking": (False, True), "skip": (False, True), "jitter": ("latest", "buffer")},
}
"""Keys that a recording settles, with another value, or the two that there are."""


@given(system=systems(5), data=st.data())
@settings(max_examples=60, deadline=None)
def test_rules_by_which_a_recording_was_not_made_are_refused_by_name(system, data):
    spec = system.timing
    check_rules(spec, spec)
    section = data.draw(st.sampled_from(["nodes", "edges"] if spec.edges else ["nodes"]))
    parts = getattr(spec, section)
    place = data.draw(st.integers(0, len(parts) - 1))
    key, values = data.draw(st.sampled_from(sorted(CHANGES[section].items())))
    old = getattr(parts[place], key)
    new = values if isinstance(values, float) else values[values[0] == old]
    changed = replace(parts[place], **{key: new})
    other = replace(spec, **{section: (*parts[:place], changed, *parts[place + 1 :])})
    with pytest.raises(RexError, match=re.escape(f"{section}.{changed.name}.{key}={str(new).lower()}: the recording")):
        check_rules(spec, other)
    # What only one of the two has, how much a step is shown, and what is expected, do not matter.
    check_rules(replace(spec, **{section: (*parts[:place], *parts[place + 1 :])}), other)
    wider = tuple(replace(edge, window=edge.window + 1, expected_delay=5) for edge in spec.edges)
    check_rules(spec, replace(spec, edges=wider))
