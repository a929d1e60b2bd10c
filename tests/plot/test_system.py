"""The system's picture shows every node and edge, and no label covers another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.plot import system
from rexcli.plot.declared import Declared
from tests.plot.boxes import by_gid, clipped, covered, overlapping, words
from tests.plot.fixtures import PENDULUM, chain, config_of, tangle

CASES = {
    "pendulum": PENDULUM,
    "one": config_of(["solo"], [("solo", "solo"), ("solo", "solo")], skip=(0, 1)),
    "twins": config_of(["camera", "arm"], [("camera", "arm")] * 3 + [("arm", "camera")] * 2, skip=(3, 4)),
    "two": chain(2),
    "twelve": chain(12),
    "long names": chain(12, 25),
    "tangle": tangle(16, 2),
}


@pytest.mark.parametrize("config", CASES.values(), ids=CASES)
def test_every_node_and_edge_is_drawn_and_boxes_stay_apart(config: dict[str, Any]) -> None:
    fig = system.draw(Declared.from_config(config))
    boxes = by_gid(fig, "node:")
    assert {box.get_gid() for box in boxes} == {f"node:{name}" for name in config["nodes"]}
    assert len(by_gid(fig, "edge:")) == len(config["edges"])
    assert not overlapping([box.get_path().get_extents(box.get_patch_transform()) for box in boxes])


@pytest.mark.parametrize("name", [name for name in CASES if name != "tangle"])
def test_no_label_covers_another_or_leaves_the_picture(name: str) -> None:
    fig = system.draw(Declared.from_config(CASES[name]))
    assert covered(fig) == []
    assert clipped(fig) == []


def test_the_label_of_a_loop_lies_beside_its_box_where_labels_are_wide() -> None:
    config = config_of(["camera", "car", "hub"], [("camera", "car"), ("car", "hub"), ("car", "car")], skip=(2,))
    for edge in config["edges"].values():
        edge["delay"] = {"_target_": "rexcli.LogNormal", "mean": 0.12, "std": 0.03}
        edge["loss"] = {"_target_": "rexcli.GilbertElliott", "share": 0.1, "burst": 3.0}
    wide = {"_target_": "rexcli.TruncatedNormal", "loc": 0.01, "scale": 0.002, "low": 0.005, "high": 0.02}
    config["nodes"]["hub"]["delay"] = wide
    fig = system.draw(Declared.from_config(config))
    boxes = {box.get_gid(): box.get_path().get_extents(box.get_transform()) for box in by_gid(fig, "node:")}
    assert len({round(box.x0) for box in boxes.values()}) == 1, "one below the other"
    labels = [box for word, box in words(fig) if "window" in word]
    assert len(labels) == 3
    assert not [(name, label) for name, box in boxes.items() for label in labels if overlapping([box, label])]


@pytest.mark.slow
def test_sixty_four_nodes_stay_apart_and_in_the_picture() -> None:
    fig = system.draw(Declared.from_config(tangle(64, 3)))
    boxes = by_gid(fig, "node:")
    assert len(boxes) == 64
    assert not overlapping([box.get_path().get_extents(box.get_patch_transform()) for box in boxes])


def test_blocking_edges_are_solid_others_dashed_and_skip_is_marked() -> None:
    fig = system.draw(Declared.from_config(PENDULUM))
    solid = {arrow.get_gid() for arrow in by_gid(fig, "edge:") if arrow.get_linestyle() == "-"}
    assert solid == {"edge:sensor_agent", "edge:agent_actuator"}
    assert len([line for line in fig.axes[0].lines if line.get_marker() == "D"]) == 1


def test_edges_start_and_end_at_their_boxes() -> None:
    config = CASES["tangle"]
    fig = system.draw(Declared.from_config(config))
    boxes = {
        box.get_gid(): box.get_path().get_extents(box.get_patch_transform()).padded(0.02)
        for box in by_gid(fig, "node:")
    }
    for arrow in by_gid(fig, "edge:"):
        edge = config["edges"][arrow.get_gid().removeprefix("edge:")]
        points = np.asarray(arrow._path_original.vertices)
        assert boxes[f"node:{edge['from']}"].contains(*points[0])
        assert boxes[f"node:{edge['to']}"].contains(*points[-1])


def test_no_nodes_and_dangling_edges_are_refused() -> None:
    with pytest.raises(RexError, match="nodes"):
        system.draw(Declared((), ()))
    with pytest.raises(RexError, match=r"edges\.e joins"):
        Declared.from_config({"nodes": {"a": {"rate": 1}}, "edges": {"e": {"from": "a", "to": "b"}}})
    with pytest.raises(RexError, match=r"nodes\.a\.rate is 'fast'"):
        Declared.from_config({"nodes": {"a": {"rate": "fast"}}})
