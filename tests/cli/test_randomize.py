"""`randomize` in commands: it is shown, what was drawn is in the runs, and where nothing can be drawn it is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rexcli.cli.main import main
from rexcli.runs.view import RunView, find_run

pytestmark = pytest.mark.usefixtures("undrawn")

DRAWN = (
    "randomize.nodes.world.inertia={low: 1e-4, high: 3e-4, log: true}",
    "randomize.nodes.world.mass={low: 0.8, high: 1.2, operation: scale}",
    "randomize.computation.sensor={low: 1.0, high: 2.0, operation: scale}",
)
"""Of `conf=pendulum`."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> RunView:
    monkeypatch.chdir(folder)
    assert main([*words]) == 0
    return find_run(f"latest:{words[0]}", folder / "outputs")


def test_show_tells_what_is_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["show", *DRAWN, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tables"]["drawn anew"] == [
        {"what": "world.inertia", "range": "0.0001 to 0.0003, log", "for": "each episode"},
        {"what": "world.mass", "range": "times 0.8 to 1.2", "for": "each episode"},
        {
            "what": "nodes.sensor.delay",
            "range": "times 1 to 2",
            "for": "each episode of the timeline, all its delays alike",
        },
    ]
    assert main(["show", "--json"]) == 0
    assert "drawn anew" not in json.loads(capsys.readouterr().out)["tables"]


@pytest.mark.slow
def test_recordings_and_rollouts_say_what_was_drawn_and_had_it(folder, monkeypatch):
    record = "record", *DRAWN, "record.steps=4", "record.episodes=3", "nodes.world.record.params=true"
    first, again = (run(folder, monkeypatch, *record) for _ in range(2))
    drawn = first.csv("drawn.csv")
    assert list(drawn) == ["episode", "world.inertia", "world.mass", "nodes.sensor.delay.scale"]
    for name, values in drawn.items():
        np.testing.assert_array_equal(values, again.csv("drawn.csv")[name])
        assert len(set(values)) == 3
    params = first.recording().values("world", "params")
    for name in ("inertia", "mass"):
        np.testing.assert_allclose(params[name][:, 0], drawn[f"world.{name}"], rtol=1e-6)
        np.testing.assert_array_equal(params[name][:, 0], params[name][:, 3])
    rolled = run(folder, monkeypatch, "rollout", *DRAWN, "rollout.num=3", "timeline.episodes=3", "timeline.steps=5")
    np.testing.assert_allclose(rolled.csv("drawn.csv")["world.inertia"], drawn["world.inertia"], rtol=1e-5)
    np.testing.assert_allclose(rolled.csv("drawn.csv")["nodes.sensor.delay.scale"], drawn["nodes.sensor.delay.scale"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("record", DRAWN[2], "clock=wall"),
            "command line: randomize.computation.sensor=times 1 to 2: on the wall clock delays are what they are",
        ),
        (
            ("rollout", DRAWN[2], "from=latest:record"),
            "command line: randomize.computation.sensor: from=",
        ),
        (
            ("record", "randomize.nodes.world.inertai={low: 1, high: 2}"),
            "randomize.nodes.world.inertai: there is no parameter 'inertai'; did you mean 'inertia'?",
        ),
        (
            ("show", "randomize.nodes.world.inertia={low: 1, hgh: 2}"),
            "command line: randomize.nodes.world.inertia.hgh: there is no such key; did you mean 'high'?",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(folder, monkeypatch, capsys, words, said):
    monkeypatch.chdir(folder)
    if "from=latest:record" in words:
        run(folder, monkeypatch, "record", "record.steps=2")
    capsys.readouterr()
    assert main([*words]) == 2
    assert said in capsys.readouterr().err
