"""`rex show` of systems whose rates are far apart, and of many nodes."""

from __future__ import annotations

import json
import time

import pytest

from rexcli.cli.main import main


@pytest.mark.parametrize(
    ("override", "measured"),
    [("seed=1", "20 episodes of 200 simulated steps"), ("nodes.world.rate=1e6", "1 episodes of 100 simulated steps")],
)
def test_as_much_is_simulated_as_is_quick(override, measured, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["show", override, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["tables"]["experiment"]
    assert {"key": "measured over", "value": measured} in rows


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("nodes.world.rate=1e9", "command line: nodes.world.rate=1e+09: one step of supervisor 'agent' takes"),
        ("nodes.agent.rate=1e-6", "raise nodes.agent.rate=1e-06"),
        ("nodes.agent.delay=1e6", "of memory; lower this rate"),
        ("nodes.actuator.delay=1e6", "of memory; lower this rate"),
        ("edges.actuator_world.delay=1e6", "of memory; lower this rate"),
        (
            "nodes.actuator.delay=1e7",
            "nodes.actuator.delay=1e+07: give a number of seconds, 0 or more and at most 1e+06",
        ),
        (
            "edges.actuator_world.delay={_target_:distrax.Normal,loc:1e300,scale:1e300}",
            "edges.actuator_world.delay",
        ),
    ],
)
def test_what_cannot_be_simulated_quickly_is_refused_by_its_key(override, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    began = time.monotonic()
    assert main(["show", override]) == 2
    assert time.monotonic() - began < 30
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.slow
def test_replicas_have_one_line_and_those_that_differ_their_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["show", "conf=platoon", "nodes.car.replicas=5", "+nodes.car_3.delay=0.04", "edges.orders.delay=90"]
    assert main(words) == 0
    said = capsys.readouterr()
    lines = [line.split() for line in said.out.splitlines()]
    heads = [" ".join(line[:3]) for line in lines]
    for head in ("car x 4", "radio x 4", "car_coordinator x 5", "orders x 5"):
        assert heads.count(head) == (2 if head == "car x 4" else 3), said.out
    assert sum(line[:1] == ["car_3"] for line in lines) == 2
    assert ["radio", "x", "4", "car", "car", "1", "skip", "ahead"] in lines
    assert "leader, car x 5, coordinator" in said.out
    (warning,) = [line for line in said.err.splitlines() if "nothing arrives" in line]
    assert "edge 'orders_0'" in warning
    assert "(and 4 more like it)" in warning
    assert main([*words, "--json"]) == 0
    tables = json.loads(capsys.readouterr().out)["tables"]
    assert [len(tables[name]) for name in ("nodes", "edges", "messages", "delays")] == [7, 16, 16, 23]
