"""Completion in the shell."""

from __future__ import annotations

import pytest

from rexcli.cli.complete import complete
from rexcli.config.project import Project


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        ([], "conf=ch", ["conf=child"]),
        ([], "ppo=", ["ppo=default", "ppo=quick", "ppo=slow", "ppo=swingup", "ppo=tutorial"]),
        (["conf=toy"], "nodes.", ["nodes.brain.", "nodes.eye."]),
        (["conf=toy", "seed=1"], "edges.brain_eye.s", ["edges.brain_eye.skip=", "edges.brain_eye.skip=true"]),
        (["conf=toy", "sweep=1,2"], "supervis", ["supervisor=", "supervisor=brain"]),
        (["conf", "="], "ch", ["child"]),
        (["conf", "="], "sim", ["sim2real", "sim2real_wide"]),
        (["conf", "=", "toy"], "nodes.brain.r", ["nodes.brain.rate=", "nodes.brain.rate=10"]),
        (["conf=nosuch"], "nodes.", []),
        (["conf=toy", "a=[1"], "nodes.", []),
    ],
)
def test_words_are_completed(toy: Project, words: list[str], incomplete: str, expected: list[str]) -> None:
    assert sorted(complete(words, incomplete)) == expected


def test_an_empty_word_offers_conf_and_keys(toy: Project) -> None:
    assert {"conf=", "supervisor=", "nodes."} <= set(complete(["conf=toy"], ""))
