"""MCAP with JSON, LeRobot datasets, Parquet and CSV; and bytes that are none of these any more."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from rexcli.config.project import Project
from rexcli.errors import RexError
from rexcli.imports import logs
from rexcli.imports.topics import Wanted
from tests.imports.conftest import Import, Refused
from tests.imports.foreign import (
    MS,
    START,
    robot_messages,
    write_bag,
    write_conf,
    write_json_mcap,
    write_lerobot,
)

PAIR = """
defaults: [base, _self_]
supervisor: agent
nodes:
  arm: {_target_: nodes.robot.Arm, rate: 30}
  agent: {_target_: nodes.robot.Agent, rate: 30}
edges:
  arm_agent: {from: arm, to: agent}
  agent_arm: {from: agent, to: arm, skip: true}
import:
"""
LEROBOT = """
  nodes:
    arm: {output: observation.state}
    agent: {output: action, state: 'action[joint1.pos]'}
  edges:
    agent_arm: {lag: {command: 'action[0]', response: 'observation.state[joint0.pos]'}}
  episode: episode_index
"""
JSON = """
  nodes:
    arm: {topic: /arm, capture: stamp, send: publish, output: {angle: 'q[1]', ready: 'is.on'}}
    agent: {topic: /agent, capture: time, unit: ms}
  edges:
    arm_agent: {receive: log}
"""
CSV = """
  nodes:
    arm: {topic: arm, capture: t, output: [x, y]}
    agent: {topic: agent, send: when, unit: us}
  edges:
    arm_agent: {receive: got}
"""


def episodes(number: int = 2, length: int = 200) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    made = []
    for _ in range(number):
        action = np.cumsum(rng.normal(size=(length, 2)), axis=0).astype(np.float32)
        made.append({"action": action, "observation.state": np.roll(action, 4, axis=0)})
    return made


@pytest.mark.parametrize("version", [2, 3])
def test_a_lerobot_dataset(imported: Import, project: Project, tmp_path: Path, version: int) -> None:
    """Of which the state follows the action by four frames, 133 ms."""
    write_conf(project.root, PAIR + LEROBOT)
    made = episodes()
    run = imported(write_lerobot(tmp_path / "set", made, version=version), "conf=robot")
    timeline = run.timeline()
    assert timeline.num_episodes == 2
    lag = timeline.messages["agent_arm"].arrive - timeline.steps["agent"].end
    np.testing.assert_allclose(lag / 1e9, 4 / 30, atol=1e-6)
    state = run.recording().values("arm", "output")[""]
    assert state.dtype == np.float32
    np.testing.assert_array_equal(state[1], made[1]["observation.state"])
    np.testing.assert_array_equal(run.recording().values("agent", "state")[""][0, :-1], made[0]["action"][:-1, 1])
    assert "which LeRobot writes as frame / fps" in str(run.csv("import.csv")["from"])


@pytest.mark.parametrize("chunked", [True, False])
def test_mcap_with_json(imported: Import, project: Project, tmp_path: Path, chunked: bool) -> None:
    write_conf(project.root, PAIR + JSON)
    times = START + np.arange(60) * 33 * MS
    messages = [
        ("/arm", t + 5 * MS, {"stamp": {"sec": int(t) // 10**9, "nsec": int(t) % 10**9}, "q": [0, n], "is.on": True})
        for n, t in enumerate(times)
    ]
    messages += [("/agent", t + 9 * MS, {"time": int(t + 8 * MS) // MS}) for t in times]
    run = imported(write_json_mcap(tmp_path / "log.mcap", messages, chunked=chunked), "conf=robot")
    timeline = run.timeline()
    np.testing.assert_array_equal(timeline.steps["arm"].start[0], times - START)
    np.testing.assert_array_equal(timeline.steps["arm"].end[0], times - START + 4 * MS)
    np.testing.assert_array_equal(timeline.messages["arm_agent"].arrive[0], times - START + 5 * MS)
    np.testing.assert_array_equal(timeline.steps["agent"].start[0], times - START + 8 * MS)
    np.testing.assert_array_equal(timeline.messages["arm_agent"].reader[0], np.arange(60))
    output = run.recording().values("arm", "output")
    np.testing.assert_array_equal(output["angle"][0], np.arange(60))
    assert output["ready"][0, :-1].all()


def test_csv_tables(imported: Import, refused: Refused, project: Project, tmp_path: Path) -> None:
    write_conf(project.root, PAIR + CSV)
    folder = tmp_path / "log"
    folder.mkdir()
    rows = [f"{n / 30!r},{n},{-n},{n / 30 + 0.002!r}" for n in range(50)]
    (folder / "arm.csv").write_text("t,x,y,got\n" + "\n".join(rows) + "\n")
    (folder / "agent.csv").write_text("when\n" + "\n".join(str(n * 33_333 + 9000) for n in range(50)) + "\n")
    timeline = imported(folder, "conf=robot").timeline()
    np.testing.assert_allclose(timeline.steps["arm"].start[0] / 1e9, np.arange(50) / 30, atol=1e-9)
    np.testing.assert_allclose((timeline.messages["arm_agent"].arrive[0] / 1e9), np.arange(50) / 30 + 0.002, atol=1e-8)
    np.testing.assert_array_equal(timeline.steps["agent"].end[0], np.arange(50) * 33_333_000 + 9 * MS)


def test_tables_that_do_not_fit_are_one_line(refused: Refused, project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "arm.csv").write_text("t,x,y,got\n0.1,a,2,3\n0.2,b,2,3\n")
    (folder / "agent.csv").write_text("when\n1\n2\n")
    write_conf(project.root, PAIR + CSV)
    assert "table arm column 'x' holds no numbers" in refused(folder, "conf=robot")
    assert "table arm has no column 'tt'" in refused(
        folder, "conf=robot", "import.nodes.arm.output=y", "import.nodes.arm.capture=tt"
    )
    line = refused(folder, "conf=robot", "import.nodes.arm.output=y", "import.nodes.agent.send=null")
    assert "import.nodes.agent.send: is missing: agent has no log time" in line
    (tmp_path / "cut").mkdir()
    dataset = write_lerobot(tmp_path / "cut" / "set", episodes())
    write_conf(project.root, PAIR + LEROBOT)
    next((dataset / "data").rglob("*.parquet")).unlink()
    assert "has 200 frames, but meta/info.json says 400" in refused(dataset, "conf=robot")


def test_without_the_extra_the_line_names_it(
    refused: Refused, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = write_bag(tmp_path / "bag", robot_messages(0.2)[0])
    monkeypatch.setitem(__import__("sys").modules, "rosbags.highlevel", None)
    assert "pip install 'rexcli[import]'" in refused(bag, "conf=robot")


def test_damaged_bytes_are_one_line(tmp_path: Path) -> None:
    """Whatever the libraries make of them, a reader gives topics, or one error that names the file."""
    messages = robot_messages(0.3)[0]
    sources = [
        (next(write_bag(tmp_path / "a", messages).glob("*.mcap")), "/cmd", "data[0]"),
        (next(write_bag(tmp_path / "b", messages, storage="sqlite3").glob("*.db3")), "/cmd", "data[0]"),
        (write_json_mcap(tmp_path / "c.mcap", [("/x", START, {"a": 1})] * 20), "/x", "a"),
        (next((write_lerobot(tmp_path / "d", episodes(1, 20)) / "data").rglob("*.parquet")), None, "action[0]"),
    ]
    rng = random.Random(5)
    for file, topic, field in sources:
        asked = {topic: Wanted({field: None}, {})}
        data = file.read_bytes()
        assert len(next(iter(logs.read_log(file, asked).values())))
        said: list[str] = []
        for _ in range(60):
            changed = bytearray(data)
            for _ in range(rng.choice([1, 1, 3, 30])):
                place = rng.randrange(len(changed))
                changed[place : place + rng.choice([1, 8])] = rng.randbytes(rng.choice([0, 1, 8]))
            file.write_bytes(changed)
            try:
                logs.read_log(file, asked)
            except RexError as error:
                said.append(str(error))
        assert said
        assert all("\n" not in line and len(line) < 2000 for line in said)


def test_what_is_no_log_is_refused(refused: Refused, tmp_path: Path) -> None:
    assert "there is no such file" in refused(tmp_path / "nowhere", "conf=robot")
    (tmp_path / "folder").mkdir()
    assert "a folder without metadata.yaml" in refused(tmp_path / "folder", "conf=robot")
    (tmp_path / "log.ulg").write_bytes(b"ULog")
    assert "no log ends with '.ulg'" in refused(tmp_path / "log.ulg", "conf=robot")
    for name in ("log.mcap", "log.db3", "log.parquet", "log.csv"):
        (tmp_path / name).write_bytes(b"\x00\x01 nothing of the kind")
        assert name in refused(tmp_path / name, "conf=robot")


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_truncated_bag_is_refused(refused: Refused, tmp_path: Path, storage: str) -> None:
    messages, _ = robot_messages(0.5)
    bag = write_bag(tmp_path / "bag", messages, storage=storage)
    (file,) = [file for file in bag.iterdir() if file.suffix in (".mcap", ".db3")]
    data = file.read_bytes()
    for share in (0.4, 0.9):
        file.write_bytes(data[: int(share * len(data))])
        assert str(bag) in refused(bag, "conf=robot")
        assert str(file) in refused(file, "conf=robot")
