"""Many nodes in one picture: those of a group are drawn as one, and drawing never takes longer than what was run."""

from __future__ import annotations

import logging
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from rexcli.plot import ages, dataflow, draw_run, style, supergraph, system
from rexcli.plot.declared import Declared, _groups
from rexcli.plot.delays import gather
from tests.plot.fixtures import FakeRun, config_of, timeline_of

SCREEN = 1000 / style.DPI * 2
"""Inches of two screens of 1,000 pixels."""


def platoon(num: int = 40, group: bool = True) -> dict:
    cars = [f"car_{index}" for index in range(num)]
    edges = [("lead", "car_0"), *pairwise(cars), *((car, "lead") for car in cars)]
    config = config_of([*cars, "lead"], edges, skip=tuple(range(num, 2 * num)))
    for car in cars:
        config["nodes"][car] |= {"_target_": "nodes.platoon.Car"} | ({"group": "car"} if group else {})
    for edge in config["edges"].values():
        edge |= {"blocking": False, "window": 1, "jitter": "latest", "delay": 0.002}
    return config


def declared(config: dict, grouping: str = "auto") -> Declared:
    view = FakeRun(Path("run"), config=config)
    return Declared.of(view, grouping)  # type: ignore[arg-type]


@pytest.mark.parametrize(("group", "label"), [(True, "car x 40"), (False, "Car x 40")])
def test_many_nodes_are_drawn_by_group_or_by_class(group: bool, label: str) -> None:
    config = platoon(group=group)
    figure = system.draw(declared(config))
    found = {patch.get_gid() for patch in figure.axes[0].patches}
    assert {each for each in found if each.startswith("node:")} == {f"node:{label}", "node:lead"}
    assert len([each for each in found if each.startswith("edge:")]) == 3
    assert figure.get_figheight() < SCREEN / 2
    timeline = timeline_of(config, episodes=1, steps=40)
    looks = declared(config)
    flow = dataflow.draw(timeline, looks)
    assert len(flow.axes[0].get_yticks()) == 16
    assert flow.get_figheight() < SCREEN
    figure = ages.draw(timeline, looks)
    rows = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert sorted(rows) == sorted([f"lead → {label}", f"{label} → {label}", f"{label} → lead"])
    pooled = {entry.title: entry for entry in gather(timeline, looks)}
    each = [entry for entry in gather(timeline, declared(config, "none")) if entry.title.endswith("computes")]
    assert len(pooled[f"{label} computes"].seconds) == sum(len(e.seconds) for e in each if e.title != "lead computes")
    slots = [{"node": name, "run_share": 1.0, "after": [0]} for name in config["nodes"]]
    drawn = supergraph.draw({"slots": slots, "buffers": dict.fromkeys(config["nodes"], 2)}, looks)
    assert [text.get_text() for text in drawn.axes[0].get_yticklabels()] == [label, "lead"]


def test_few_nodes_are_drawn_each_unless_asked_for_otherwise() -> None:
    assert not declared(platoon(8)).groups
    assert not declared(platoon(40), "none").groups
    assert set(declared(platoon(8, group=False), "class").groups.values()) == {"Car x 8"}
    assert _groups(platoon(40), declared(platoon(40)), "auto")["car_3"] == "car x 40"
    colours = {node.colour for node in declared(platoon(8)).nodes if node.name != "lead"}
    assert len(colours) == 1


def test_pictures_are_left_out_when_their_time_is_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = platoon(4)
    view = FakeRun(tmp_path, {"timeline.npz": timeline_of(config, steps=5)}, config)
    with caplog.at_level(logging.WARNING, logger="rex.plot"):
        assert draw_run(view, tmp_path, seconds=-1.0) == []  # type: ignore[arg-type]
    assert "rex plot" in caplog.text
    assert "dataflow" in caplog.text
    assert [path.stem for path in draw_run(view, tmp_path, ["system"], seconds=-1.0)] == ["system"]  # type: ignore[arg-type]


@pytest.mark.parametrize("room", np.linspace(0.5, 9, 12).tolist())
def test_a_listing_holds_as_many_parts_as_fit(room: float) -> None:
    parts = [f"node_{index}" for index in range(12)]
    text = style.listing(parts, room)
    shown = text.count("node_")
    assert style.text_size(text, style.SMALL)[0] <= room or shown <= 1
    if 1 <= shown < len(parts):
        more = ", ".join(parts[: shown + 1]) + (f" and {len(parts) - shown - 1} more" if shown + 1 < len(parts) else "")
        assert style.text_size(more, style.SMALL)[0] > room
