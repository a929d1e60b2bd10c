"""What is done a piece at a time, for long timelines, is what is done at once."""

from __future__ import annotations

import numpy as np
import pytest

from rexcli.compiler import slots, template
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.config.build import build_system
from rexcli.config.compose import compose
from rexcli.pipeline import simulate


@pytest.fixture(scope="module")
def pendulum():
    system = build_system(compose("pendulum"))
    return system, simulate(system, seed=0, episodes=3, steps=60)


@pytest.mark.parametrize("piece", [1, 9, 50, 180])
def test_tables_are_the_same_in_pieces_of_any_size(pendulum, monkeypatch, piece):
    system, timeline = pendulum
    plan = make_plan(timeline, observed=("world",))
    whole = Program(system, plan)
    monkeypatch.setattr(slots, "PIECE", piece)
    pieces = Program(system, plan)
    assert pieces.layout == whole.layout
    for name in ("ints", "floats", "spans", "before", "length"):
        np.testing.assert_array_equal(getattr(pieces, name), getattr(whole, name))


@pytest.mark.parametrize("many", [4, 40, 150])
@pytest.mark.parametrize("prune", [True, False])
def test_a_template_that_was_sought_for_a_part_is_as_short_and_runs_every_tick(pendulum, monkeypatch, many, prune):
    _, timeline = pendulum
    usual = make_plan(timeline, prune=prune)
    monkeypatch.setattr(template, "MANY", many)
    plan = make_plan(timeline, prune=prune)
    assert len(plan.template) == len(usual.template)
    for node in timeline.steps:
        assert ticks_of(plan, node) == ticks_of(usual, node)


def ticks_of(plan, node):
    """All ticks of a node that a plan runs."""
    slots = [tick for name, tick in zip(plan.table.nodes, plan.table.tick, strict=True) if name == node]
    return sorted(np.concatenate([tick[tick >= 0] for tick in slots]).tolist())
