"""The commands of docs/sim2real.md run one after another, in a shortened form."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from rexcli.cli.main import main
from rexcli.runs.view import find_run
from tests.cli.conftest import SMALL_TRAINING

PAGE = Path(__file__).parents[1] / "docs" / "sim2real.md"
SHORTENED = {
    "record": ["record.seconds=10"],
    "train": [*SMALL_TRAINING, "eval.seconds=2.4"],
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("mujoco") is None, reason="needs mujoco, an optional extra"),
]


def test_the_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [
        shlex.split(line)
        for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
        for line in block.strip().splitlines()
    ]
    assert [words[1] for words in commands] == ["record", "fit", "identify", "train", "record"]
    for words in commands:
        assert main([*words[1:], *SHORTENED.get(words[1], [])]) == 0, words
    identified, trained, held = (
        find_run(f"latest:{name}", tmp_path / "outputs") for name in ("identify", "train", "record")
    )
    estimates = identified.csv("estimates.csv")
    found = dict(zip(estimates["name"], estimates["estimate"], strict=True))
    assert found["world.inertia"] == pytest.approx(1.7 * 0.000159931461600856, rel=0.2)
    assert found["world.motor_constant"] == pytest.approx(0.8 * 0.03333912, rel=0.2)
    assert found["sum of world_sensor and actuator_world"] == pytest.approx(0.022, abs=0.006)  # s
    world = trained.config["nodes"]["world"]["params"]
    assert world["inertia"] == pytest.approx(found["world.inertia"])
    assert trained.config["nodes"]["sensor"]["delay"]["_target_"] != "rexcli.TruncatedNormal"
    assert trained.config["edges"]["actuator_world"]["delay"]["_target_"] == "rexcli.AdjustableDelay"
    assert held.status == "done"
    assert main(["show", "conf=sim2real", "delays=latest:identify", "randomize.posterior=latest:identify"]) == 0
