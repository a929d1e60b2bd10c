"""Nodes that are alike run as one step of the program, and do what each of them does by itself in the stepper."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from rexcli.compiler import identical_nodes
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.system.adjustable import AdjustableDelay
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from rexcli.timelines import simulate
from tests.compiler.stepper_oracle import assert_same, forget, roll
from tests.random_systems import Mixer

STEPS, CARS = 4, 6
KEY = jax.random.key(3)


class Numbered(Mixer):
    """Its step uses the number of its node."""

    def __init__(self, number: int):
        super().__init__(draws=False)
        self.number = number

    def step(self, step_state):
        after, output = super().step(step_state)
        return after.replace(state=after.state.replace(count=after.state.count + self.number)), output


def platoon() -> System:
    """Cars that hear one another late, each with a lamp that draws random numbers and a numbered node, and a hub."""
    nodes, edges = [(NodeSpec("hub", 10.0), Mixer(draws=False))], []
    for i in range(CARS):
        nodes.append((NodeSpec(f"car_{i}", 10.0, delay=0.01), Mixer(draws=False)))
        nodes.append((NodeSpec(f"lamp_{i}", 12.5, delay=0.002 * i), Mixer(draws=True)))
        nodes.append((NodeSpec(f"number_{i}", 10.0), Numbered(i)))
        ahead = f"car_{i - 1}" if i else "hub"
        edges += [
            Edge(f"radio_{i}", ahead, f"car_{i}", "ahead", window=3, skip=True, delay=0.13, loss=0.2 if i < 6 else 0.0),
            Edge(f"light_{i}", f"car_{i}", f"lamp_{i}", "car", window=2, skip=True, delay=AdjustableDelay(0.0, 0.2)),
            Edge(f"count_{i}", f"lamp_{i}", f"number_{i}", "lamp"),
            Edge(f"up_{i}", f"number_{i}", "hub", skip=True),
        ]
    return System(nodes, edges, "hub")


def test_steps_of_one_kind_that_do_not_depend_on_one_another_are_together() -> None:
    system = platoon()
    plan = make_plan(simulate(system, seed=1, episodes=2, steps=STEPS + 2))
    program = Program(system, plan)
    batches = list(
        identical_nodes.batches(system, program.layout.slots[:-1], jax.eval_shape(lambda: program.init(KEY)))
    )
    kinds = {tuple(sorted({slot.node.partition("_")[0] for slot in batch})) for batch in batches if len(batch) > 1}
    assert kinds == {("car",), ("lamp",)}  # and no numbered one
    assert sum(len(batch) for batch in batches) == len(program.layout.slots) - 1
    table = plan.table
    for level, name, tick in zip(table.levels, table.nodes, table.tick, strict=True):
        for beside, sender, sent in zip(table.levels, table.nodes, table.tick, strict=True):
            for edge in (each for each in table.timeline.spec.inputs(name) if each.source == sender):
                read = np.take_along_axis(table.newest[edge.name], np.maximum(tick, 0), axis=1)
                assert beside < level or not ((read == sent) & (sent >= 0) & (tick >= 0)).any()


@pytest.mark.slow
def test_what_runs_as_one_is_what_the_stepper_runs() -> None:
    system = platoon()
    timeline = simulate(system, seed=1, episodes=2, steps=STEPS + 2)
    program = Program(system, make_plan(timeline))
    assert assert_same(program, system, timeline, 1, STEPS, KEY) > STEPS * 3 * CARS * 0.8
    forget()


@pytest.mark.slow
def test_an_episode_that_begins_late_is_the_same_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    system = platoon()
    timeline = simulate(system, seed=1, episodes=1, steps=STEPS + 2)
    program = Program(system, make_plan(timeline), "mask")

    def late():
        return roll(program, program.init(KEY, starting_step=3), 3)

    together = late()
    forget()
    monkeypatch.setattr(identical_nodes, "FEWEST", 10**6)
    alone = late()
    forget()
    for name, record in together.items():
        ran = np.asarray(record.seq) >= 0
        np.testing.assert_array_equal(record.seq, alone[name].seq)
        for one, other in zip(jax.tree.leaves(record.fields), jax.tree.leaves(alone[name].fields), strict=True):
            one, other = (
                jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x
                for x in (one, other)
            )
            np.testing.assert_allclose(np.asarray(one)[ran], np.asarray(other)[ran], rtol=2e-6, atol=1e-6)
