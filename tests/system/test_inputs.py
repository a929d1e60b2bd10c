"""A node that asks for an input that it has not is told which there are, whatever executes it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

import rexcli as rex
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from tests.rl.tiny import ToZero, tiny_system


class Reader(rex.Node):
    """Asks for an input under a name that it had before it was renamed."""

    def init_output(self, rng, graph_state):
        return jnp.zeros(())

    def step(self, step_state):
        return step_state, step_state.inputs["sensr"][-1].data


class Source(rex.Node):
    def step(self, step_state):
        return step_state, jnp.ones(())


WORDS = r"node 'reader': its step asks for input 'sensr', which no edge brings; did you mean 'sensor'\?"


def make(jit: bool) -> System:
    reader = Reader()
    reader.jit = jit
    nodes = [(NodeSpec("sensor", 10.0), Source()), (NodeSpec("reader", 10.0), reader)]
    return System(nodes, [Edge("e", "sensor", "reader", "sensor")], "reader")


@pytest.mark.parametrize("jit", [True, False])
def test_the_stepper_says_it(jit):
    system = make(jit)
    stepper = rex.Stepper(system, rex.simulate(system, steps=3))
    state, _ = stepper.reset(stepper.init(jax.random.key(0)))
    with pytest.raises(rex.RexError, match=WORDS):
        stepper.run(state)


def test_the_program_says_it():
    system = make(True)
    program = Program(system, make_plan(rex.simulate(system, steps=3)))
    with pytest.raises(rex.RexError, match=WORDS):
        jax.eval_shape(lambda key: program.rollout(program.reset(program.init(key))[0])[1], jax.random.key(0))


@pytest.mark.parametrize("jit", [True, False])
def test_the_wall_clock_says_it(jit):
    with pytest.raises(rex.RexError, match=WORDS):
        rex.WallClock(make(jit)).run(jax.random.key(0), steps=3).check()


def test_a_task_is_told_which_nodes_there_are():
    class Wrong(ToZero):
        def reward(self, graph_state):
            return graph_state.state["wrld"][0]

    with pytest.raises(rex.RexError, match=r"Wrong\.reward asks for 'wrld', which is no node; did you mean 'world'\?"):
        assert Wrong().bind(tiny_system()).observed
