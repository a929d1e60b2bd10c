"""Environments that are stepped together do what each of them would do alone, and each a whole episode."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rexcli import RexError
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.rl.graph_env import GraphEnv
from rexcli.rl.vector_env import VectorEnv, check_length, random_start
from rexcli.timeline.simulate import simulate
from tests.rl.tiny import ToZero, tiny_program, tiny_system

STEPS = 40


class Fence(ToZero):
    """Terminates beyond a fence, so that environments end at different times."""

    def terminated(self, graph_state):
        return jnp.abs(graph_state.state["world"][0]) > 0.9


@functools.cache
def run(offset_step=False, task=Fence):
    """Everything that the environments did: by step, the state as it began, actions, what they led to."""
    envs = VectorEnv(task().bind(tiny_system()), num_envs=6, offset_step=offset_step)

    @jax.jit
    def roll(program):
        def step(state, rng):
            state, observation = envs.begin(program, state)
            actions = jax.random.uniform(rng, (6, 1), minval=-1.0)
            after, outcome = envs.step(program, state, actions)
            return after, (state, observation, actions, outcome)

        return jax.lax.scan(step, envs.init(program, jax.random.key(5)), jax.random.split(jax.random.key(1), STEPS))[1]

    return envs, roll(tiny_program())


def test_every_episode_is_the_episode_alone():
    envs, (state, observation, actions, outcome) = run()
    program = tiny_program()
    single = GraphEnv(envs.environment, program)
    reset, step = jax.jit(single.reset), jax.jit(single.step)
    began = np.asarray(state.env.steps) == 0
    lengths, places = [], set()
    for env in range(envs.num_envs):
        alone = None
        for now in range(STEPS):
            if began[now, env]:
                key = jax.random.fold_in(state.rng[now, env], state.starts[now, env] - 1)
                eps, at = state.env.graph_state.eps[now, env], state.env.graph_state.step[now, env]
                places.add((int(eps), int(at)))
                alone, seen = reset(key, eps=eps, starting_step=at)
                np.testing.assert_array_equal(observation[now, env], seen)
                lengths.append(0)
            alone, result = step(alone, actions[now, env])
            lengths[-1] += 1
            for name in ("observation", "reward", "terminated", "truncated"):
                np.testing.assert_allclose(getattr(outcome, name)[now, env], getattr(result, name), rtol=1e-6)
    assert len(set(lengths)) > 2, "the fence should end episodes at different times"
    assert len(places) > 8, "episodes should begin all over the timeline"


def test_an_environment_begins_again_when_and_only_when_it_is_done():
    _, (state, _, _, outcome) = run()
    done = np.asarray(outcome.terminated | outcome.truncated)
    np.testing.assert_array_equal(np.asarray(state.env.steps[1:]) == 0, done[:-1])
    np.testing.assert_array_equal(np.diff(np.asarray(state.starts), axis=0), done[:-1])


def test_episodes_last_as_long_as_the_task_says():
    _, (state, _, _, outcome) = run(task=ToZero)
    steps = np.asarray(state.env.steps)
    assert steps.max() == 4
    np.testing.assert_array_equal(np.asarray(outcome.truncated), steps == 4)
    assert not np.asarray(outcome.terminated).any()


@pytest.mark.parametrize("fixed_init", [pytest.param(True, marks=pytest.mark.slow), False])
def test_fixed_starts_are_the_same_and_others_are_not(fixed_init):
    envs = VectorEnv(ToZero().bind(tiny_system()), num_envs=6, fixed_init=fixed_init)
    program = tiny_program()
    keys = jax.random.split(jax.random.key(0), 6)
    begin = jax.jit(lambda number: envs._starts(program, keys, jnp.full(6, number)).graph_state.rng["agent"])
    starts = [begin(number) for number in range(3)]
    first, *others = (np.asarray(jax.random.key_data(each)) for each in starts)
    assert len(np.unique(first, axis=0)) == 6, "each has a start of its own"
    for other in others:
        same = (first == other).all(axis=1)
        assert same.all() if fixed_init else not same.any()


def test_offsets_spread_the_ends():
    _, (state, _, _, outcome) = run(offset_step=True, task=ToZero)
    steps, starts, whole = (np.asarray(leaf) for leaf in (state.env.steps, state.starts, state.whole))
    assert len(set(steps[0])) > 2
    ends = np.asarray(outcome.truncated).sum(axis=1)
    assert ends.max() < 6, "not all end in step"
    np.testing.assert_array_equal(whole, starts > 1)
    np.testing.assert_array_equal(steps[1:][np.diff(starts, axis=0) > 0], 0)


@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    ticks=st.integers(1, 12),
    fence=st.sampled_from([0.1, 0.5, 9.0]),
    seed=st.integers(0, 99),
)
@pytest.mark.slow
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_episode_is_cut_by_the_end_of_the_timeline(lengths, ticks, fence, seed):
    """Over timelines of many lengths, tasks of many lengths, and episodes that terminate or do not."""

    class Task(ToZero):
        seconds = ticks / 10

        def terminated(self, graph_state):
            return jnp.abs(graph_state.state["world"][0]) > fence

    program, task = ragged_program(tuple(lengths)), Task().bind(tiny_system())
    if ticks > max(lengths):
        with pytest.raises(RexError, match=rf"lasts {ticks / 10:g} s, {ticks} steps .* has {max(lengths)}:"):
            check_length(program, task)
        return
    check_length(program, task)
    envs = VectorEnv(task, num_envs=5)

    @jax.jit
    def roll(program):
        def step(state, rng):
            state, _ = envs.begin(program, state)
            after, outcome = envs.step(program, state, jax.random.uniform(rng, (5, 1), minval=-1.0))
            return after, (state.env.steps, state.whole, outcome)

        keys = jax.random.split(jax.random.key(seed), 30)
        return jax.lax.scan(step, envs.init(program, jax.random.key(seed)), keys)[1]

    steps, whole, outcome = jax.tree.map(np.asarray, roll(program))
    np.testing.assert_array_equal(outcome.truncated, steps == ticks - 1)
    assert whole[-1].any()


@functools.cache
def ragged_program(lengths: tuple[int, ...]) -> Program:
    """The tiny system on a timeline whose episodes have some numbers of steps."""
    system = tiny_system()

    def sample(kind, name, ticks):
        return system.sample_delays(kind, name, 0, len(lengths), ticks)

    whole = simulate(system.timing, sample, episodes=len(lengths), steps=max(lengths))
    steps = dict(whole.steps)
    own = steps["agent"]
    steps["agent"] = type(own)(own.start, own.end, np.array(lengths) + 1)
    return Program(system, make_plan(type(whole)(whole.spec, steps, whole.messages), observed=("world",)))


def test_starts_are_spread_evenly_over_all_that_fit():
    program = ragged_program((6, 2, 4))
    eps, step = jax.vmap(lambda key: random_start(program, 3, key))(jax.random.split(jax.random.key(0), 6000))
    found, counts = np.unique(np.stack([eps, step]), axis=1, return_counts=True)
    assert found.T.tolist() == [[0, 0], [0, 1], [0, 2], [0, 3], [2, 0], [2, 1]]
    np.testing.assert_allclose(counts, 1000, rtol=0.15)
