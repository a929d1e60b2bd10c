"""Skipped slots: node code that divides by its counters and clocks has the same finite gradient either way."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rexcli as rex
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.system.delays import Constant
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from tests.compiler.stepper_oracle import QUICK, run_stepper
from tests.compiler.timelines import draw_timeline

KEY = jax.random.key(0)
EPISODES, STEPS = 2, 4
fast = partial(jax.jit, compiler_options=QUICK)


class Steep(rex.Node):
    """Has an infinite slope or value at all that a skipped slot once had: tick -1, time 0, age 0, an empty ring."""

    def init_params(self, rng, graph_state):
        return jnp.float32(0.7)

    def init_state(self, rng, graph_state):
        return jnp.float32(1.0)

    def init_output(self, rng, graph_state):
        return jnp.float32(0.0)  # which no step sees: all wait for messages

    def step(self, step_state):
        value = step_state.params * step_state.state / (step_state.seq + 1.0) + jnp.log(
            step_state.params * step_state.ts
        )
        for window in step_state.inputs.values():
            value = value + jnp.sqrt(step_state.params * window.data + 0.0).sum() + jnp.log(window.age).sum()
            value = value + (step_state.params / jnp.sqrt(window.seq + 1.0 - (window.seq < 0))).sum()
        value = jnp.sqrt(1.0 + value**2)
        return step_state.replace(state=value), value


class Source(rex.Node):
    """Sends what is 1 or more."""

    def init_params(self, rng, graph_state):
        return jnp.float32(0.5)

    def init_output(self, rng, graph_state):
        return jnp.float32(0.0)

    def step(self, step_state):
        return step_state, 1.0 + step_state.params / (step_state.seq + 1.0)


def system() -> System:
    nodes = [
        (NodeSpec("source", 25, delay=Constant(0.01)), Source()),
        (NodeSpec("steep", 12.5, delay=Constant(0.01)), Steep()),
        (NodeSpec("agent", 10, delay=Constant(0.01)), Steep()),
    ]
    edges = [
        Edge("source_steep", "source", "steep", "source", blocking=True, delay=Constant(0.01)),
        Edge("steep_agent", "steep", "agent", "steep", blocking=True, delay=Constant(0.005)),
    ]
    return System(nodes, edges, "agent")


def total(params, program, eps):
    state, _ = program.reset(program.init(KEY, params, eps=eps))
    state, record = program.rollout(state, STEPS, keep={"agent": ("output",)})
    return record["agent"].fields["output"].sum() + state.state["steep"]


@pytest.mark.slow
@pytest.mark.parametrize("skip", ["cond", "mask"])
def test_gradients_are_finite_and_the_steppers(skip):
    timeline = draw_timeline(system(), EPISODES, STEPS, 0)
    program = Program(system(), make_plan(timeline), skip)
    assert any((tick < 0).any() for tick in program.plan.table.tick[:-1])
    params = dict(program.init(KEY).params)

    def by_stepper(params, eps):
        log = run_stepper(system(), timeline, eps, STEPS, KEY, params)
        last = max(seq for name, seq in log.steps if name == "steep")
        return sum(log.steps["agent", k][2] for k in range(STEPS)) + log.steps["steep", last][1].state

    batched = fast(jax.vmap(jax.grad(total), (None, None, 0)))(params, program, jnp.arange(EPISODES))
    for eps in range(EPISODES):
        want = jax.grad(by_stepper)(params, eps)
        alone = fast(jax.grad(total))(params, program, eps)
        for name in params:
            assert np.isfinite(want[name])
            np.testing.assert_allclose(alone[name], want[name], rtol=1e-4)
            np.testing.assert_allclose(batched[name][eps], want[name], rtol=1e-4)


@pytest.mark.slow
def test_past_the_end_nothing_is_infinite_either():
    """Episodes of unequal length in one batch: the shorter one's supervisor keeps what it has."""
    timeline = draw_timeline(system(), EPISODES, STEPS, 0)
    short = timeline.steps["agent"].count.copy()
    short[1] -= 2
    agent = timeline.steps["agent"]
    ragged = type(timeline)(
        timeline.spec, {**timeline.steps, "agent": type(agent)(agent.start, agent.end, short)}, timeline.messages
    )
    program = Program(system(), make_plan(ragged))
    params = dict(program.init(KEY).params)

    def final(params, eps):
        state, _ = program.reset(program.init(KEY, params, eps=eps))
        state, record = program.rollout(state, STEPS, keep={"agent": ("output",)})
        return state.state["agent"], record["agent"]

    value, record = fast(jax.vmap(final, (None, 0)))(params, jnp.arange(EPISODES))
    assert record.seq.tolist() == [[0, 1, 2, 3], [0, 1, -1, -1]]
    assert float(value[1]) == float(record.fields["output"][1, 1])
    gradient = fast(jax.grad(lambda params: jax.vmap(final, (None, 0))(params, jnp.arange(EPISODES))[0].sum()))(params)
    assert all(np.isfinite(each) for each in gradient.values())
