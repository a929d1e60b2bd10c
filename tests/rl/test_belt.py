"""A belt of environments does what each of them would do alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli.rl.belt import Belt
from rexcli.rl.graph_env import GraphEnv
from tests.rl.tiny import ToZero, tiny_program, tiny_system

STEPS = 40


class Fence(ToZero):
    """Terminates beyond a fence, so that environments end at different times."""

    def terminated(self, graph_state):
        return jnp.abs(graph_state.state["world"][0]) > 0.9


@functools.cache
def ride(fixed_init=False, offset_step=False, task=Fence):
    """Everything that a belt did: by step, the state as it began, actions, what they led to."""
    belt = Belt(task().bind(tiny_system()), num_envs=6, fixed_init=fixed_init, offset_step=offset_step)

    @jax.jit
    def run(program):
        def step(state, rng):
            state, observation = belt.begin(program, state)
            actions = jax.random.uniform(rng, (6, 1), minval=-1.0)
            after, outcome = belt.step(program, state, actions)
            return after, (state, observation, actions, outcome)

        return jax.lax.scan(step, belt.init(program, jax.random.key(5)), jax.random.split(jax.random.key(1), STEPS))[1]

    return belt, run(tiny_program())


def test_every_episode_on_the_belt_is_the_episode_alone():
    belt, (state, observation, actions, outcome) = ride()
    program = tiny_program()
    single = GraphEnv(belt.environment, program)
    reset, step = jax.jit(single.reset), jax.jit(single.step)
    began = np.asarray(state.env.steps) == 0
    lengths = []
    for env in range(belt.num_envs):
        alone = None
        for now in range(STEPS):
            if began[now, env]:
                key = jax.random.fold_in(state.rng[now, env], state.starts[now, env] - 1)
                eps, at = state.env.graph_state.eps[now], state.env.graph_state.step[now]
                alone, seen = reset(key, eps=eps, starting_step=at)
                np.testing.assert_array_equal(observation[now, env], seen)
                lengths.append(0)
            alone, result = step(alone, actions[now, env])
            lengths[-1] += 1
            for name in ("observation", "reward", "terminated", "truncated"):
                np.testing.assert_allclose(getattr(outcome, name)[now, env], getattr(result, name), rtol=1e-6)
    assert len(set(lengths)) > 2, "the fence should end episodes at different times"


def test_an_environment_begins_again_when_and_only_when_it_is_done():
    _, (state, _, _, outcome) = ride()
    done = np.asarray(outcome.terminated | outcome.truncated)
    np.testing.assert_array_equal(np.asarray(state.env.steps[1:]) == 0, done[:-1])
    np.testing.assert_array_equal(np.diff(np.asarray(state.starts), axis=0), done[:-1])


def test_the_belt_runs_on_and_turns_at_the_end_of_the_timeline():
    _, (state, _, _, outcome) = ride()
    step, eps = np.asarray(state.env.graph_state.step), np.asarray(state.env.graph_state.eps)
    length = int(tiny_program().max_steps)
    assert step.shape == (STEPS,)
    np.testing.assert_array_equal(step, np.arange(STEPS) % length)
    np.testing.assert_array_equal(eps, (eps[0] + np.arange(STEPS) // length) % 2)
    ended = np.asarray(outcome.truncated | outcome.terminated)[length - 1 :: length]
    assert ended.all(), "nobody can stay on beyond the end of the timeline"


def test_episodes_are_cut_at_the_task_s_length():
    _, (state, _, _, outcome) = ride(task=ToZero)
    steps = np.asarray(state.env.steps)
    assert steps.max() == 4
    np.testing.assert_array_equal(np.asarray(outcome.truncated)[steps == 4], True)
    assert not np.asarray(outcome.terminated).any()


@pytest.mark.parametrize("fixed_init", [True, False])
def test_fixed_starts_are_the_same_and_others_are_not(fixed_init):
    _, (state, observation, _, _) = ride(fixed_init=fixed_init, task=ToZero)
    # Seconds later than the timeline's start, a world runs once before it is first seen; compare starts at step 0.
    at_start = np.asarray(state.env.graph_state.step) == 0
    seen = np.asarray(observation)[at_start, :, 0]
    assert len(seen) >= 3
    assert len(set(seen[0])) == 6, "each has a start of its own"
    same = seen == seen[0]
    assert same.all() if fixed_init else not same[1:].any()


def test_offsets_spread_the_first_ends_only():
    _, (state, _, _, _) = ride(offset_step=True, task=ToZero)
    steps = np.asarray(state.env.steps)
    assert len(set(steps[0])) > 2
    first = np.asarray(state.starts) == 1
    assert (steps[~first & (np.roll(state.starts, 1, axis=0) != state.starts)] == 0).all()
