"""PPO against slow, obvious transcriptions and numbers worked by hand."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli import RexError
from rexcli.rl.gradient_steps import random_order
from rexcli.rl.ppo import NUMBERS, PPO, generalized_advantages
from rexcli.rl.ppo_state import Samples, Transitions
from tests.rl.tiny import TINY, Constantly, ToZero, tiny_program, tiny_system


@functools.cache
def tiny_ppo(**changes):
    """A PPO of some settings, and the state in which it starts, which is the same under all of them."""
    ppo = PPO(ToZero().bind(tiny_system()), replace(TINY, **changes))
    return ppo, tiny_ppo()[1] if changes else jax.jit(ppo.init)(tiny_program(), jax.random.key(0))


def slow_advantages(reward, value, next_value, terminated, done, gamma, gae_lambda):
    """Equations 14 and 16 of the paper, summed forward from every step to the end of its episode."""
    advantage = np.zeros_like(reward)
    for env in range(reward.shape[1]):
        for first in range(len(reward)):
            weight = 1.0
            for now in range(first, len(reward)):
                beyond = 0.0 if terminated[now, env] else next_value[now, env]
                advantage[first, env] += weight * (reward[now, env] + gamma * beyond - value[now, env])
                weight *= gamma * gae_lambda
                if done[now, env]:
                    break
    return advantage


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 9]), st.floats(0, 1), st.floats(0, 1))
def test_advantages_are_the_sums_of_the_paper(seed, steps, gamma, gae_lambda):
    rng = np.random.default_rng(seed)
    reward, value, next_value = rng.normal(size=(3, steps, 3))
    terminated = rng.random((steps, 3)) < 0.2
    done = terminated | (rng.random((steps, 3)) < 0.2)
    fast = jax.jit(generalized_advantages)(reward, value, next_value, terminated, done, gamma, gae_lambda)
    slow = slow_advantages(reward, value, next_value, terminated, done, gamma, gae_lambda)
    np.testing.assert_allclose(fast, slow, rtol=1e-4, atol=1e-4)


def test_advantages_by_hand():
    column = lambda *numbers: jnp.array(numbers)[:, None]  # noqa: E731
    advantage = generalized_advantages(
        reward=column(1.0, 2.0, 3.0),
        value=column(0.5, 1.0, 2.0),
        next_value=column(1.0, 4.0, 8.0),
        terminated=column(False, False, True),
        done=column(False, True, True),
        gamma=0.5,
        gae_lambda=0.5,
    )
    # Truncated: 2 + 0.5*4 - 1 = 3. Terminated: 3 - 2 = 1. The first: 1 + 0.5*1 - 0.5 + 0.25*3 = 1.75.
    np.testing.assert_allclose(advantage[:, 0], [1.75, 3.0, 1.0])


def collected(ppo, state, **changes):
    """Transitions of `num_steps` x `num_envs` where every reward is 1 and every observation 0."""
    shape = (ppo.settings.num_steps, ppo.settings.num_envs)
    zeros, no = jnp.zeros(shape), jnp.zeros(shape, bool)
    observation = jnp.zeros((*shape, 1))
    seen = Transitions(observation, observation, zeros, zeros + 1, no, no, observation, ~no, None)
    return seen.replace(**changes)


@pytest.mark.parametrize("truncated", [True, False])
def test_a_critic_that_is_right_about_a_constant_reward_leaves_no_advantage(truncated):
    """The value of 1 a step for ever is 1 / (1 - gamma), at a truncation too."""
    ppo, state = tiny_ppo(normalize_reward=False, gamma=0.9)
    params = jax.tree.map(jnp.zeros_like, state.params)
    params["params"]["critic"]["Dense_2"]["bias"] = jnp.array([1 / (1 - 0.9)])
    ends = jnp.zeros((16, 8), bool).at[::3].set(truncated)
    _, samples, _ = jax.jit(ppo.advantages)(state.replace(params=params), collected(ppo, state, truncated=ends))
    np.testing.assert_allclose(samples.advantage, 0.0, atol=1e-4)
    np.testing.assert_allclose(samples.target, 10.0, rtol=1e-4)
    _, samples, _ = jax.jit(ppo.advantages)(
        state.replace(params=params), collected(ppo, state, terminated=jnp.ones((16, 8), bool))
    )
    np.testing.assert_allclose(samples.target, 1.0, rtol=1e-4)


def test_what_the_task_knows_beyond_a_truncation_replaces_the_critic():
    ppo, state = tiny_ppo(normalize_reward=False, gamma=0.9)
    seen = collected(ppo, state, truncated=jnp.ones((16, 8), bool), value_after=jnp.full((16, 8), 7.0))
    _, samples, _ = jax.jit(ppo.advantages)(state, seen)
    np.testing.assert_allclose(samples.target, 1 + 0.9 * 7, rtol=1e-5)


@pytest.mark.parametrize("annealed", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_number_of_the_settings_is_an_argument_of_the_program_and_nowhere_in_it(annealed):
    changes = {"anneal_lr": True} if annealed else {"target_kl": 0.01, "desired_kl": 0.02}
    changes |= {"ent_coef": 0.01, "clip_vf_eps": 0.2}

    def program(ppo):
        def learn(state, numbers):
            return ppo.given(numbers).learn(tiny_program(), state, 1)

        state = jax.eval_shape(lambda: ppo.init(tiny_program(), jax.random.key(0)))
        return jax.jit(learn).lower(state, {name: jnp.float32(value) for name, value in ppo.numbers.items()}).as_text()

    ppo = PPO(ToZero().bind(tiny_system()), replace(TINY, **changes))
    assert set(ppo.numbers) == set(NUMBERS) - ({"target_kl", "desired_kl"} if annealed else set())
    other = {name: 0.7 * value for name, value in ppo.numbers.items()}
    assert program(ppo) == program(PPO(ppo.environment, replace(ppo.settings, **other)))


def test_a_task_that_asks_for_the_discount_in_python_is_compiled_for_each():
    class Choosy(ToZero):
        def value_after(self, graph_state, gamma):
            return self.reward(graph_state) / (1 - gamma) if gamma < 1 else None

    assert "gamma" not in PPO(Choosy().bind(tiny_system()), TINY).numbers
    assert {"gamma", "lr"} <= set(PPO(ToZero().bind(tiny_system()), TINY).numbers)


@pytest.mark.slow
def test_a_critic_learns_the_worth_of_a_constant_reward():
    """1 / (1 - gamma) where only time ends an episode, 1 where the first step does."""
    changes = replace(TINY, gamma=0.8, normalize_reward=False, lr=2e-2, update_epochs=4, total_timesteps=128 * 100)
    ppo = PPO(Constantly().bind(tiny_system()), changes)
    state = jax.jit(ppo.init)(tiny_program(), jax.random.key(0))
    state, _ = jax.jit(ppo.learn)(tiny_program(), state, 100)
    guess = ppo.policy(state.learned).value(jnp.array([[-0.7], [-0.4], [0.4], [0.7]]))
    np.testing.assert_allclose(guess, [5, 5, 1, 1], rtol=0.1)


def test_the_loss_is_equation_9_summed_sample_by_sample():
    ppo, state = tiny_ppo(ent_coef=0.02, clip_eps=0.1, vf_coef=0.7)
    rng = np.random.default_rng(0)
    observation, raw = rng.normal(size=(2, 8, 1)).astype(np.float32)
    log_prob, advantage, target = rng.normal(size=(3, 8)).astype(np.float32) * [[0.1], [1], [1]]
    policy = ppo.policy(state.learned).replace(observations=None)
    old = policy.distribution(observation).log_prob(raw)
    samples = Samples(observation, raw, old - log_prob, advantage, target)

    surrogate = error = bonus = 0.0
    scaled = (advantage - advantage.mean()) / advantage.std()
    for i in range(8):
        actions = policy.distribution(observation[i])
        ratio = float(jnp.exp(actions.log_prob(raw[i]) - samples.log_prob[i]))
        surrogate += min(ratio * scaled[i], np.clip(ratio, 0.9, 1.1) * scaled[i]) / 8
        error += 0.5 * float(policy.value(observation[i]) - target[i]) ** 2 / 8
        bonus += float(actions.entropy()) / 8
    loss, metrics = ppo.loss(state.params, samples)
    np.testing.assert_allclose(loss, -surrogate + 0.7 * error - 0.02 * bonus, rtol=1e-4)
    np.testing.assert_allclose(metrics["clip_fraction"], (np.abs(np.exp(log_prob) - 1) > 0.1).mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["kl"], (np.exp(log_prob) - 1 - log_prob).mean(), rtol=1e-3)


@pytest.mark.slow
def test_a_value_clips_to_what_the_critic_guessed_at_collection():
    """The loss and its gradient, sample by sample, for a critic that says 0.5 everywhere."""
    ppo, state = tiny_ppo(clip_vf_eps=0.2, vf_coef=2.0)
    params = jax.tree.map(jnp.zeros_like, state.params)
    params["params"]["critic"]["Dense_2"]["bias"] = jnp.array([0.5])
    old, target = np.random.default_rng(0).uniform(-0.5, 1.5, (2, 64)).astype(np.float32)
    zeros = jnp.zeros((64, 1))
    log_prob = ppo.policy(state.learned).replace(params=params, observations=None).distribution(zeros).log_prob(zeros)
    samples = Samples(zeros, zeros, log_prob, jnp.zeros(64), jnp.asarray(target), jnp.asarray(old))

    losses, slopes = [], []
    for guess, goal in zip(old, target, strict=True):
        near = min(max(0.5, guess - 0.2), guess + 0.2)
        losses.append(0.5 * max((0.5 - goal) ** 2, (near - goal) ** 2))
        slopes.append(0.5 - goal if near == 0.5 or (0.5 - goal) ** 2 > (near - goal) ** 2 else 0.0)
    assert 0.0 in slopes
    gradient, metrics = jax.grad(ppo.loss, has_aux=True)(params, samples)
    np.testing.assert_allclose(metrics["value_loss"], np.mean(losses), rtol=1e-5)
    np.testing.assert_allclose(gradient["params"]["critic"]["Dense_2"]["bias"], 2 * np.mean(slopes), rtol=1e-4)


@pytest.mark.slow
def test_the_critic_s_guess_at_collection_is_kept_where_it_is_clipped_to():
    def samples(ppo, state):
        return ppo.advantages(*ppo.collect(tiny_program(), state))[1]

    plain, state = tiny_ppo()
    assert jax.eval_shape(functools.partial(samples, plain), state).value is None
    clipped = jax.jit(functools.partial(samples, tiny_ppo(clip_vf_eps=0.2)[0]))(state)
    np.testing.assert_allclose(clipped.value, clipped.target - clipped.advantage, atol=1e-5)


def test_the_probabilities_of_what_was_collected_are_those_that_the_update_starts_from():
    ppo, state = tiny_ppo()
    program = tiny_program()
    collect, advantages = jax.jit(ppo.collect), jax.jit(ppo.advantages)
    for _ in range(2):
        state, seen = collect(program, state)
        state, samples, _ = advantages(state, seen)
        _, metrics = ppo.loss(state.params, samples)
        np.testing.assert_allclose(metrics["kl"], 0.0, atol=1e-6)


def test_rewards_are_scaled_by_the_deviation_of_their_discounted_sum():
    ppo, state = tiny_ppo(gamma=0.5)
    seen = collected(ppo, state, terminated=jnp.ones((16, 8), bool), reward=jnp.arange(128.0).reshape(16, 8))
    after, samples, _ = jax.jit(ppo.advantages)(state, seen)
    np.testing.assert_allclose(after.returns.var, np.arange(128).var(), rtol=1e-5)
    np.testing.assert_allclose(samples.target, np.arange(128) / np.arange(128).std(), rtol=1e-4)


def test_a_flat_learning_rate_stays_and_an_annealed_one_ends_at_0():
    gradient = {"w": jnp.ones(3)}
    for anneal in (False, True):
        ppo, _ = tiny_ppo(anneal_lr=anneal)
        steps = ppo.num_updates * 2 * 4
        state = ppo.optimizer.init(gradient)
        sizes = []
        for _ in range(steps + 1):
            change, state = ppo.optimizer.update(gradient, state)
            sizes.append(float(-change["w"][0]))
        np.testing.assert_allclose(sizes[0], TINY.lr, rtol=1e-3)
        np.testing.assert_allclose(sizes[steps // 2], TINY.lr * (0.5 if anneal else 1), rtol=1e-3)
        np.testing.assert_allclose(sizes[-1], 0.0 if anneal else TINY.lr, atol=1e-8, rtol=1e-3)


@pytest.mark.slow
def test_an_update_that_meets_nan_stops_the_learning_and_changes_nothing():
    class Poisoned(ToZero):
        def reward(self, graph_state):
            # Met by few: an update is 16 steps of 8 environments.
            return jnp.where((graph_state.eps == 1) & (graph_state.step == 9), jnp.nan, 1.0)

    ppo = PPO(Poisoned().bind(tiny_system()), TINY)
    program = tiny_program()
    start = ppo.init(program, jax.random.key(2))
    learn = jax.jit(ppo.learn)
    state, _ = learn(program, start, 6)
    assert (state.failed, state.updates) == (0, 0)
    for now, then in zip(jax.tree.leaves(state.params), jax.tree.leaves(start.params), strict=True):
        np.testing.assert_array_equal(now, then)
    again, _ = learn(program, state, 3)
    assert (again.failed, again.updates) == (0, 0)


@pytest.mark.parametrize("number", [1, 2, 3, 97, 4096, 70_000])
def test_a_random_order_is_a_permutation(number):
    orders = [np.asarray(random_order(jax.random.key(seed), number)) for seed in range(3)]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(number))
    assert number < 97 or not (orders[0] == orders[1]).all()


def test_random_orders_are_even():
    orders = np.asarray(jax.vmap(lambda key: random_order(key, 6))(jax.random.split(jax.random.key(0), 12_000)))
    share = np.stack([(orders == number).mean(axis=0) for number in range(6)])
    np.testing.assert_allclose(share, 1 / 6, atol=0.02)


def test_settings_that_do_not_go_together_are_refused():
    with pytest.raises(RexError, match="num_minibatches 5"):
        tiny_ppo(num_minibatches=5)

    class Unbounded(ToZero):
        @property
        def action_space(self):
            from rexcli import Box

            return Box.unbounded(1)

    with pytest.raises(RexError, match="no bounds"):
        PPO(Unbounded().bind(tiny_system()), TINY)
