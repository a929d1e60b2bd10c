"""A message says which file, and which line of it, a key came from."""

from __future__ import annotations

import pytest

from rexcli.config.project import Project
from tests.config.test_compose import refusal


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("rate: 20", "rate: -20", ["conf/toy.yaml line 6", "nodes.eye.rate=-20"]),
        ("window: 2", "windw: 2", ["conf/toy.yaml line 11", "windw", "did you mean 'window'?"]),
        ("supervisor: brain", "", ["conf/toy.yaml", "supervisor is missing"]),
        ("[base,", "[bass,", ["conf/toy.yaml: defaults", "conf/bass.yaml"]),
        ("nodes:", "nodes: {", ["conf/toy.yaml line", "not YAML"]),
        ("ppo: quick", "ppo: quik", ["ppo=quik", "did you mean 'quick'?"]),
    ],
)
def test_a_mistake_in_a_file_names_file_and_line(toy: Project, old: str, new: str, parts: list[str]) -> None:
    file = toy.conf / "toy.yaml"
    file.write_text(file.read_text().replace(old, new))
    message = refusal("toy")
    for part in parts:
        assert part in message


def test_a_key_of_a_group_names_the_group_file(toy: Project) -> None:
    (toy.conf / "ppo" / "slow.yaml").write_text("lr: 1\nclip_esp: 0.1\n")
    assert "conf/ppo/slow.yaml line 2: ppo.clip_esp" in refusal("toy", ["ppo=slow"])
