"""Nodes that are declared once and run many times: written out, they are what somebody would have written by hand."""

from __future__ import annotations

import textwrap

import pytest
import yaml

from rexcli.config.build import build_system
from rexcli.config.compose import compose, config_yaml, experiment_from_config
from rexcli.config.project import Project
from rexcli.errors import RexError
from rexcli.pipeline import check_wall

SWARM = """
defaults: [base, _self_]
supervisor: hub
init_order: [car, hub]
nodes:
  car:
    _target_: nodes.swarm.Car
    replicas: 3
    rate: 20
    delay: {_target_: distrax.Normal, loc: 0.01, scale: 0.001}
    of: ${nodes.car.replicas}
  car_2: {rate: 10, delay: {scale: 0.002}}
  hub: {_target_: nodes.toy.Brain, rate: 10}
edges:
  ahead: {from: car, to: car, connect: 1, name: ahead}
  ring: {from: car, to: car, connect: -1, wrap: true, skip: true}
  all: {from: car, to: car, connect: all, skip: true, name: other}
  up: {from: car, to: hub}
  down: {from: hub, to: car, skip: true, delay: 0.01}
  down_1: {delay: 0.02}
randomize:
  nodes: {car: {mass: {low: 1.0, high: 2.0}}, car_1: {mass: {low: 3.0, high: 4.0}}}
  edges: {down: {low: 0.0, high: 0.03}}
rollout: {keep: {nodes: [car]}}
"""

LOGGED = """
defaults: [swarm, _self_]
import:
  nodes: {car: {topic: "/car_{index}/odom", output: ["x[{index}]", y]}, car_1: {topic: /lead}}
  edges: {all: {receive: "t[{index}]"}}
"""

CAR = """
from nodes.toy import Brain


class Car(Brain):
    def __init__(self, index: int, of: int, name: str, group="none"):
        self.given = index, of, name, group
"""

RANGE = {"low": 1.0, "high": 2.0}


@pytest.fixture
def swarm(toy: Project) -> Project:
    (toy.root / "conf/swarm.yaml").write_text(textwrap.dedent(SWARM).lstrip())
    (toy.root / "nodes/swarm.py").write_text(CAR)
    return toy


def test_replicas_are_written_out_as_ordinary_nodes_and_edges(swarm: Project) -> None:
    experiment = compose("swarm")
    assert list(experiment.nodes) == ["car_0", "car_1", "car_2", "hub"]
    assert experiment.init_order == ["car_0", "car_1", "car_2", "hub"]
    assert experiment.rollout.keep.nodes == ["car_0", "car_1", "car_2"]
    assert [node.rate for node in experiment.nodes.values()] == [20, 20, 10, 10]
    assert experiment.nodes["car_2"].delay == {"_target_": "distrax.Normal", "loc": 0.01, "scale": 0.002}
    ends = {name: (edge.source, edge.target, edge.input) for name, edge in experiment.edges.items()}
    assert ends == {
        "ahead_0": ("car_0", "car_1", "ahead"),
        "ahead_1": ("car_1", "car_2", "ahead"),
        "ring_0": ("car_0", "car_2", "car"),
        "ring_1": ("car_1", "car_0", "car"),
        "ring_2": ("car_2", "car_1", "car"),
        "all_0_1": ("car_0", "car_1", "other_0"),
        "all_0_2": ("car_0", "car_2", "other_0"),
        "all_1_0": ("car_1", "car_0", "other_1"),
        "all_1_2": ("car_1", "car_2", "other_1"),
        "all_2_0": ("car_2", "car_0", "other_2"),
        "all_2_1": ("car_2", "car_1", "other_2"),
        "up_0": ("car_0", "hub", "car_0"),
        "up_1": ("car_1", "hub", "car_1"),
        "up_2": ("car_2", "hub", "car_2"),
        "down_0": ("hub", "car_0", "hub"),
        "down_1": ("hub", "car_1", "hub"),
        "down_2": ("hub", "car_2", "hub"),
    }
    assert [experiment.edges[f"down_{index}"].delay for index in range(3)] == [0.01, 0.02, 0.01]
    assert experiment.randomize is not None
    assert {name: each["mass"].low for name, each in experiment.randomize.nodes.items()} == {
        "car_0": 1.0,
        "car_1": 3.0,
        "car_2": 1.0,
    }
    assert list(experiment.randomize.edges) == ["down_0", "down_1", "down_2"]


def test_a_class_is_told_its_number_and_group_if_it_asks(swarm: Project) -> None:
    system = build_system(compose("swarm", ["~randomize"]), swarm)
    assert [system.nodes[f"car_{i}"].given for i in range(3)] == [(i, 3, f"car_{i}", "car") for i in range(3)]


def test_a_runs_config_is_the_same_experiment_and_a_group_is_changed_as_one(swarm: Project) -> None:
    experiment = compose("swarm", ["nodes.car.replicas=2", "nodes.car.rate=40", "~nodes.car_2"])
    saved = yaml.safe_load(config_yaml(experiment))
    assert experiment_from_config(saved) == experiment
    changed = experiment_from_config(
        saved, "config.yaml", ["nodes.car.rate=5", "edges.up.window=3", "nodes.car_1.rate=6"]
    )
    assert [node.rate for node in changed.nodes.values()] == [5, 5, 10]
    assert [changed.edges[f"up_{index}"].window for index in range(2)] == [3, 3]
    with pytest.raises(RexError, match=r"command line: nodes\.car\.replicas=4: .* compose them anew"):
        experiment_from_config(saved, "config.yaml", ["nodes.car.replicas=4"])


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("nodes.car.replicas=0", ["command line: nodes.car.replicas=0", "1 to 10000"]),
        ("nodes.car.replicas=many", ["command line: nodes.car.replicas=many", "whole number"]),
        ("nodes.car.rate=-1", ["command line: nodes.car.rate=-1", "positive"]),
        ("nodes.car_1.rate=-1", ["command line: nodes.car_1.rate=-1", "positive"]),
        ("nodes.car_3.rate=5", ["command line: nodes.car_3", "car_0 to car_2"]),
        ("nodes.car.index=5", ["command line: nodes.car.index=5", "leave it out"]),
        ("edges.up.connect=same", ["command line: edges.up.connect=same", "leave it out"]),
        ("edges.ahead.connect=next", ["command line: edges.ahead.connect=next", "same", "all"]),
        ("edges.ahead.connect=3", ["command line: edges.ahead.connect=3", "3 to 3", "none"]),
        ("edges.all.wrap=true", ["command line: edges.all.wrap=true", "leave it out"]),
        ("edges.up.windw=3", ["command line: edges.up.windw", "did you mean 'window'?"]),
        ("edges.up_7.window=3", ["command line: edges.up_7", "up_0 to up_2"]),
        ("supervisor=car", ["command line: supervisor=car", "car_0"]),
        ("edges.ring.name=ahead", ["command line: edges.ring.name=ahead", "edges.ahead_1"]),
    ],
)
def test_what_is_wrong_is_named_as_it_was_typed(swarm: Project, override: str, parts: list[str]) -> None:
    with pytest.raises(RexError) as caught:
        compose("swarm", [override])
    assert all(part in str(caught.value) for part in parts), str(caught.value)


@pytest.mark.parametrize("given", ["edges.up.loss", "edges.up_1.loss"])
def test_the_wall_clock_names_the_key_of_a_replica_that_was_given(swarm: Project, given: str) -> None:
    experiment = compose("swarm", ["clock=wall", "~randomize", f"{given}=0.1"])
    with pytest.raises(RexError, match=rf"command line: {given}=10% lost.*give {given}=0,"):
        check_wall(experiment, build_system(experiment, swarm))


def test_a_group_stands_for_its_members_in_a_log(swarm: Project) -> None:
    (swarm.root / "conf/logged.yaml").write_text(textwrap.dedent(LOGGED).lstrip())
    found = compose("logged").importing
    assert {name: node.topic for name, node in found.nodes.items()} == {
        "car_0": "/car_0/odom",
        "car_1": "/lead",
        "car_2": "/car_2/odom",
    }
    assert found.nodes["car_2"].output == ["x[2]", "y"]
    assert found.edges["all_0_2"].receive == "t[0_2]"


def test_a_replica_says_the_line_of_the_entry_that_it_was_made_from(swarm: Project) -> None:
    origins = compose("swarm").origins
    assert origins.where("nodes.car_1.rate") == "conf/swarm.yaml line 8"
    assert origins.where("nodes.car_2.rate") == "conf/swarm.yaml line 11"
    assert compose("swarm", ["nodes.car.rate=9"]).origins.typed("nodes.car_0.rate")
