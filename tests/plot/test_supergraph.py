"""The template's picture: every slot in its order, and arrows that keep every dependency."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.plot import supergraph
from rexcli.plot.declared import Declared
from tests.plot.boxes import by_gid, clipped, covered
from tests.plot.fixtures import PENDULUM, chain, program

DECLARED = Declared.from_config(PENDULUM)


def _large(num: int) -> dict:
    rng = np.random.default_rng(0)
    names = list(chain(12, 25)["nodes"])
    slots = [
        {
            "node": names[i % 12],
            "run_share": float(rng.uniform()),
            "after": [j for j in range(i) if rng.uniform() < 0.1],
        }
        for i in range(num)
    ]
    return {"mode": "topological", "slots": slots, "buffers": dict.fromkeys(names, 3)}


@pytest.mark.parametrize("plan", [program(), _large(40)], ids=["pendulum", "large"])
def test_slots_stand_in_order_and_arrows_reach_what_dependencies_reach(plan: dict) -> None:
    fig = supergraph.draw(plan, DECLARED)
    [dots] = by_gid(fig, "slots")
    assert list(dots.get_offsets()[:, 0]) == list(range(len(plan["slots"])))
    drawn = nx.DiGraph(tuple(map(int, arrow.get_gid().split(":")[1:])) for arrow in by_gid(fig, "after:"))
    declared = nx.DiGraph((before, i) for i, slot in enumerate(plan["slots"]) for before in slot["after"])
    assert set(drawn.edges) <= set(declared.edges)
    assert set(nx.transitive_closure(drawn).edges) == set(nx.transitive_closure(declared).edges)


def test_bars_are_run_shares_and_the_strip_is_the_usage() -> None:
    plan = program()
    fig = supergraph.draw(plan, DECLARED)
    assert [bar.get_height() / 100 for bar in fig.axes[1].patches] == pytest.approx(
        [slot["run_share"] for slot in plan["slots"]]
    )
    [image] = by_gid(fig, "usage")
    usage = np.asarray(plan["usage"][: supergraph.PARTITIONS], bool)
    shown = np.asarray(image.get_array())
    background = shown[~usage]
    assert (background == background[0]).all()
    assert (shown[usage] != background[0]).any(-1).all()


def test_without_usage_there_is_no_strip() -> None:
    assert len(supergraph.draw({**program(), "usage": None}, DECLARED).axes) == 2


@pytest.mark.parametrize("plan", [program(), program(1), _large(40), _large(1)], ids=["p", "p1", "large", "one"])
def test_no_label_covers_another_or_leaves_the_picture(plan: dict) -> None:
    fig = supergraph.draw(plan, DECLARED)
    assert covered(fig) == []
    assert clipped(fig) == []


def test_a_program_without_slots_is_refused() -> None:
    with pytest.raises(RexError, match="no slots"):
        supergraph.draw({"mode": "mcs", "slots": []}, DECLARED)


def test_a_slot_that_hardly_runs_is_not_one_that_never_does() -> None:
    shares = (0.0, 0.0004, 0.006, 0.5, 0.994, 0.9996, 1.0)
    assert [supergraph.percent(share) for share in shares] == ["0", "<1", "1", "50", "99", ">99", "100"]
