"""Which message of one topic is which of another, and what is told of those that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.config.project import Project
from rexcli.imports.stamps import counted, match
from rexcli.timeline.spec import NEVER
from tests.imports.conftest import Import
from tests.imports.foreign import MS, ROBOT, robot_messages, write_bag, write_conf

Pair = tuple[int, int]
PAIRS = st.tuples(st.integers(0, 1), st.integers(0, 3))


def test_a_lost_message_has_no_reader(imported: Import, project: Project, tmp_path: Path) -> None:
    """What the reader's recorder did not get, by the sequence numbers of a copy of the topic."""
    messages, true = robot_messages()
    kept = [place for place in range(len(true["captured"])) if place % 7]
    relayed = [message for message in messages if message[0] == "/imu/data"]
    copies = [("/relayed", log + MS, message) for place, (_, log, message) in enumerate(relayed) if place in kept]
    edge = "imu_agent: {topic: /relayed, receive: log, send: header.stamp}"
    write_conf(project.root, ROBOT.replace("imu_agent: {receive: log}", edge))
    run = imported(write_bag(tmp_path / "bag", [*messages, *copies]), "conf=robot")
    found = run.timeline().messages["imu_agent"]
    np.testing.assert_array_equal(np.flatnonzero(found.arrive[0] == NEVER), np.arange(0, len(true["captured"]), 7))
    assert (found.reader[0, ::7] == -1).all()
    np.testing.assert_array_equal(found.arrive[0, kept], np.maximum.accumulate(true["received"][kept] + MS))


@settings(max_examples=30, deadline=None)
@given(st.lists(PAIRS, max_size=6), st.lists(PAIRS, max_size=6))
def test_a_message_is_the_first_that_has_its_episode_and_number(known: list[Pair], asked: list[Pair]) -> None:
    rows = match(*(np.array(pairs, np.int64).reshape(-1, 2).T for pairs in (known, asked)))
    assert rows.tolist() == [known.index(pair) if pair in known else -1 for pair in asked]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-1, 2), max_size=8))
def test_messages_are_counted_from_0_in_each_episode(episodes: list[int]) -> None:
    numbers = counted(np.array(episodes, np.int64))
    assert numbers.tolist() == [episodes[:place].count(episode) for place, episode in enumerate(episodes)]
