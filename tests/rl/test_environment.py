import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli import Environment, RexError
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from tests.rl.pendulum import pendulum
from tests.rl.tiny import ToZero, tiny_program, tiny_system


def test_a_task_of_a_reward_alone_has_spaces_observations_and_actions():
    task = ToZero().bind(tiny_system())
    assert task.observation_space.size == 1
    assert (task.action_space.low, task.action_space.high) == ((-1.0,), (1.0,))
    assert task.max_steps == 5
    program = tiny_program()
    state, seen = program.reset(program.init(jax.random.key(0)))
    np.testing.assert_array_equal(task.observe(seen), seen.inputs["world"][-1].data)
    _, output = task.act(seen, jnp.array([0.25]))
    np.testing.assert_array_equal(output, [0.25])
    assert task.reward(state) < 0


def test_actions_fill_an_output_of_several_leaves_in_order():
    class Tree(type(tiny_system().nodes["agent"])):
        def init_output(self, rng, graph_state):
            return {"b": jnp.zeros((2, 2)), "a": jnp.zeros(())}

    task = ToZero().bind(System([(NodeSpec("agent", 10), Tree())], [], "agent"))
    assert task.action_space.size == 5
    _, output = task.act(None, jnp.arange(5.0))
    assert output["a"] == 0
    np.testing.assert_array_equal(output["b"], [[1, 2], [3, 4]])


def test_a_task_that_is_bound_again_has_the_spaces_of_its_new_system():
    class Cached(ToZero):
        @functools.cached_property
        def action_space(self):
            return super().action_space

    class Wide(type(tiny_system().nodes["agent"])):
        def init_output(self, rng, graph_state):
            return jnp.zeros(3)

    task = Cached().bind(tiny_system())
    assert (task.action_space.size, task.observation_space.size) == (1, 1)
    task.bind(System([(NodeSpec("agent", 10), Wide())], [Edge("self", "agent", "agent", "own", skip=True)], "agent"))
    assert (task.action_space.size, task.observation_space.size) == (3, 3)


def test_what_is_missing_is_named():
    with pytest.raises(RexError, match="bind"):
        _ = ToZero().observation_space
    with pytest.raises(RexError, match="Environment has no reward"):
        Environment().bind(tiny_system()).reward(None)


def test_an_observation_that_is_no_vector_is_refused():
    class Matrix(ToZero):
        def observe(self, step_state):
            return jnp.zeros((2, 2))

    with pytest.raises(RexError, match=r"shape \(2, 2\)"):
        _ = Matrix().bind(tiny_system()).observation_space


def test_swing_up_has_the_tutorial_s_spaces_and_length():
    _, task = pendulum()
    assert task.observation_space.size == 3 + 4 * 3 + 4
    assert (task.action_space.low, task.action_space.high) == ((-2.0,), (2.0,))
    assert task.max_steps == 150


@pytest.mark.slow
def test_swing_up_s_reward_is_minus_the_cost_of_the_steps_since():
    program, task = pendulum()
    state, seen = jax.jit(lambda: program.reset(program.init(jax.random.key(3))))()
    state = task.before_step(state)
    assert task.reward(state) == 0
    seen, output = task.act(program.step_state(state), jnp.array([1.0]))
    state, _ = jax.jit(program.step)(state, seen, output)
    world = state.state["world"]
    angle = (float(world.th) + np.pi) % (2 * np.pi) - np.pi
    # The first action has not reached the world yet, which still applies 0 V.
    expected = angle**2 + 0.1 * (float(world.thd) / (1 + 10 * abs(angle))) ** 2
    np.testing.assert_allclose(task.reward(state), -expected, rtol=1e-5)


@pytest.mark.parametrize(("bad_step", "hold"), [(None, 1.0), (199, 1.0), (200, 0.0), (249, 0.0)])
def test_hold_judges_the_whole_last_second_and_nothing_before(bad_step, hold):
    _, task = pendulum()
    upright, speed = np.full(250, 0.96), np.full(250, 0.4)
    if bad_step is not None:
        upright[bad_step] = 0.94
    assert task.metrics["hold"]({"upright": upright, "speed": speed}, 50.0) == hold
    if bad_step is not None:
        upright[bad_step], speed[bad_step] = 0.96, 0.6
    assert task.metrics["hold"]({"upright": upright, "speed": speed}, 50.0) == hold


def test_swing_up_refuses_an_unknown_truncation():
    from nodes.pendulum import SwingUp

    with pytest.raises(RexError, match="'forever'"):
        SwingUp(truncation="forever")
    task = SwingUp(truncation="repeat")
    state, _ = pendulum()[0].reset(pendulum()[0].init(jax.random.key(0)))
    np.testing.assert_allclose(task.value_after(state, 0.9), task.reward(state) * 10, rtol=1e-5)
    assert SwingUp().value_after(state, 0.9) is None
