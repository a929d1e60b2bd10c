"""Which systems run the same code, and what a program makes of the numbers that its system declares."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.errors import RexError
from rexcli.rl.shared_code import code_of
from rexcli.system.adjustable import AdjustableDelay
from rexcli.system.init import init_graph_state
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from rexcli.timelines import simulate
from tests.rl.tiny import Agent, ToZero, World


class Pulled(World):
    """Is pulled to one side, by its parameter."""

    def init_params(self, rng: jax.Array, graph_state: Any) -> Any:
        return {"pull": jnp.float32(0.5), "turns": jnp.int32(1), "serial": jnp.uint32(7)}

    def step(self, step_state: Any) -> Any:
        place = step_state.state + step_state.params["pull"] * step_state.params["turns"]
        return step_state.replace(state=place), place


class Reader(Pulled):
    """Looks up in its declaration what it could find in its parameters."""

    def step(self, step_state: Any) -> Any:
        place = step_state.state + self.spec.params["pull"]
        return step_state.replace(state=place), place


def programmed(world: World, delay: float = 0.02, low: float = 0.0, **params: Any) -> Program:
    nodes = [(NodeSpec("world", 10, delay=0.01, params=params), world), (NodeSpec("agent", 10), Agent())]
    edges = [
        Edge("world_agent", "world", "agent", "world", delay=AdjustableDelay(low, 0.05, value=delay)),
        Edge("agent_world", "agent", "world", "agent", skip=True),
    ]
    system = System(nodes, edges, "agent")
    return Program(system, make_plan(simulate(system, episodes=1, steps=8, seed=0), observed=("world",)))


def code(program: Program) -> str:
    return code_of(ToZero().bind(program.system), program)


def test_code_is_the_same_but_for_what_is_made_of_more_than_declared_numbers() -> None:
    first = code(programmed(Pulled(), pull=0.1))
    assert code(programmed(Pulled(), pull=0.2, delay=0.03)) == first
    assert code(programmed(Pulled(), pull=0.1, low=0.01)) != first
    assert code(programmed(Pulled(), turns=1)) != first
    assert code(programmed(Reader(), pull=0.1)) != code(programmed(Reader(), pull=0.2))


def test_a_program_on_another_system_has_its_own_numbers() -> None:
    one, other = programmed(Pulled(), pull=0.1, turns=2), programmed(Pulled(), pull=0.2, turns=3, delay=0.03)
    moved = other.on(one.system)
    assert moved.system is one.system
    assert jax.tree.structure(moved) == jax.tree.structure(one) != jax.tree.structure(other)
    rng = jax.random.key(1)
    large = programmed(Pulled(), serial=3_000_000_001, pull=3_000_000_000).init(rng).params["world"]
    assert int(large["serial"]) == 3_000_000_001
    assert float(large["pull"]) == np.float32(3e9)
    mine, moved_state = (program.run(program.reset(program.init(rng))[0]) for program in (other, moved))
    assert all(map(np.array_equal, jax.tree.leaves(mine.state), jax.tree.leaves(moved_state.state)))
    assert float(moved_state.params["world"]["pull"]) == np.float32(0.2)
    assert int(moved_state.params["world"]["turns"]) == 3
    assert float(moved_state.delays["agent"]["world"]) == np.float32(0.03)
    stepped = init_graph_state(other.system, rng)
    began = moved.init(rng)
    for of_stepper, of_program in ((stepped.params, began.params), (stepped.delays, began.delays)):
        assert all(map(np.array_equal, jax.tree.leaves(of_stepper), jax.tree.leaves(of_program)))


@pytest.mark.parametrize(("params", "why"), [({"push": 1.0}, "there is no 'push'"), ({"turns": 1.5}, "int32 can hold")])
def test_numbers_that_no_parameter_can_take_are_refused(params: dict[str, Any], why: str) -> None:
    with pytest.raises(RexError, match=why):
        programmed(Pulled(), **params)
