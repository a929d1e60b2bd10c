"""Discrete actions and dicts for observations, from the networks to the robot."""

import functools
import json
from dataclasses import replace

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli import Box, Discrete, MultiDiscrete, RexError, Stepper, WallClock
from rexcli.config.schema import PPOSettings
from rexcli.rl.actions import make_controller
from rexcli.rl.evaluate import evaluate
from rexcli.rl.graph_env import GraphEnv
from rexcli.rl.networks import ActorCritic, Categorical
from rexcli.rl.normalize import RunningStats
from rexcli.rl.policy import EXPORTED, Policy
from rexcli.rl.ppo import PPO
from rexcli.rl.train import train
from rexcli.rl.training_setup import TrainingSetup
from rexcli.runs.formats import encode_json
from tests.rl.choices import Balance, Chooser, ToCentre, chosen, drawn
from tests.rl.test_policy import make_policy
from tests.rl.tiny import TINY, ToZero, table, tiny_program, tiny_system, train_tiny

COUNTS = st.lists(st.integers(1, 5), min_size=1, max_size=3)


def parts(logits, categories):
    """Probabilities of each choice."""
    cut = np.split(logits.astype(float), np.cumsum(categories)[:-1], axis=-1)
    return [np.exp(part) / np.exp(part).sum(axis=-1, keepdims=True) for part in cut]


@settings(deadline=None, max_examples=4)
@given(COUNTS, st.integers(0, 10_000))
def test_probabilities_entropy_and_gradients_are_those_of_independent_choices(categories, seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(7, sum(categories)), scale=2).astype(np.float32)
    raw = np.stack([rng.integers(0, count, 7) for count in categories], axis=-1)
    actions, chances = Categorical(jnp.asarray(logits), tuple(categories)), parts(logits, categories)
    log_prob = sum(np.log(part[np.arange(7), raw[:, place]]) for place, part in enumerate(chances))
    np.testing.assert_allclose(actions.log_prob(raw), log_prob, rtol=1e-4, atol=1e-5)
    entropy = -sum((part * np.log(part)).sum(axis=-1) for part in chances)
    np.testing.assert_allclose(actions.entropy(), entropy, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(actions.mode(), np.stack([part.argmax(axis=-1) for part in chances], axis=-1))
    slope = jax.grad(lambda logits: Categorical(logits, tuple(categories)).log_prob(raw).sum())(actions.logits)
    taken = [np.eye(count)[raw[:, place]] for place, count in enumerate(categories)]
    expected = np.concatenate([hot - part for hot, part in zip(taken, chances, strict=True)], axis=-1)
    np.testing.assert_allclose(slope, expected, atol=1e-5)


def test_samples_come_as_often_as_their_probabilities_say():
    logits = np.array([0.5, -1.0, 2.0, 0.3, 0.0], np.float32)
    actions = Categorical(jnp.asarray(logits), (3, 2))
    samples = np.asarray(jax.vmap(actions.sample)(jax.random.split(jax.random.key(0), 50_000)))
    assert samples.dtype == np.int32
    for place, chances in enumerate(parts(logits, (3, 2))):
        np.testing.assert_allclose(np.bincount(samples[:, place]) / 50_000, chances, atol=0.01)
    both = np.mean((samples[:, 0] == 2) & (samples[:, 1] == 1))
    np.testing.assert_allclose(both, parts(logits, (3, 2))[0][2] * parts(logits, (3, 2))[1][1], atol=0.01)


@pytest.mark.parametrize(("task", "shape"), [(ToCentre, (2,)), (Balance, ())])
def test_random_choices_are_of_the_space_and_reach_all_of_it(task, shape):
    space = chosen(task)[0].action_space
    samples = np.asarray(jax.vmap(space.sample)(jax.random.split(jax.random.key(0), 300)))
    assert (samples.shape, samples.dtype) == ((300, *shape), np.int32)
    for place, count in enumerate(space.categories):
        assert set(samples.reshape(300, -1)[:, place]) == set(range(count))


def test_a_network_of_choices_has_their_logits_and_no_deviation():
    network = ActorCritic(2, 1, 8, categories=(3, 2))
    params = network.init(jax.random.key(0), jnp.zeros(4))["params"]
    assert params["actor"]["Dense_1"]["kernel"].shape == (8, 5)
    assert "log_std" not in params


@functools.cache
def untrained(task):
    """Random weights, of observations as they are."""
    bound, program = chosen(task)
    ppo, rng = PPO(bound, TINY), np.random.default_rng(5)
    learned = jax.eval_shape(lambda: ppo.init(program, jax.random.key(0)).learned)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.5, leaf.shape), leaf.dtype), learned.params)
    stats = RunningStats.empty((ppo.observation_space.size,))
    return bound, program, ppo.policy(learned.replace(params=params, observations=stats))


@pytest.mark.slow
@pytest.mark.parametrize("task", [ToCentre, Balance])
def test_a_policy_of_choices_and_dicts_acts_the_same_everywhere(task, tmp_path):
    """Loaded, exported, in the program and on the stepper; and it runs on the wall clock."""
    bound, program, policy = untrained(task)
    policy.save(tmp_path / "policy")
    again = Policy.load(tmp_path / "policy")
    assert jax.tree.structure(again) == jax.tree.structure(policy)
    exported = jax.export.deserialize(bytearray((tmp_path / "policy" / EXPORTED).read_bytes()))

    env = GraphEnv(bound, program)
    step = jax.jit(env.step)
    state, observation = jax.jit(env.reset)(jax.random.key(3))
    stepper = Stepper(program.system, drawn(task)[1])
    there, _ = stepper.reset(stepper.init(jax.random.key(3)))
    for _ in range(5):
        action = policy.action(observation)
        assert action.dtype == jnp.int32
        assert action.shape == (() if task is Balance else (2,))
        for other in (again.action(observation), exported.call(observation)):
            np.testing.assert_array_equal(other, action)
        assert exported.call(observation).dtype == jnp.int32
        np.testing.assert_array_equal(again.action(bound.observe(stepper.step_state(there))), action)
        there = stepper.run(there, again.controller(bound))
        state, outcome = step(state, action)
        observation = outcome.observation
    outcome = WallClock(program.system, controller=again.controller(bound)).run(jax.random.key(0), steps=3)
    assert outcome.check().steps == 3


def test_a_policy_of_dicts_takes_numpy_on_a_robot_and_refuses_what_it_does_not_know():
    bound, _, policy = untrained(ToCentre)
    seen = {"place": {"x": 0.1, "y": np.float32(-0.3)}, "far": np.array([False, True]), "cell": np.array([1, -3], "i1")}
    flat = policy.observation_space.flatten(seen)
    # Sorted keys: cell, far, place.x, place.y.
    np.testing.assert_array_equal(flat, np.array([1, -3, 0, 1, 0.1, -0.3], np.float32))
    assert flat.dtype == jnp.float32
    assert policy.action(seen).shape == (2,)
    batch = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), seen)
    np.testing.assert_array_equal(policy.observation_space.flatten(batch), np.stack([flat, flat]))
    with pytest.raises(RexError, match=r"an observation has place\.x; give \{cell: int8\[2\]"):
        policy.action({"place": {"x": 0.1}})
    with pytest.raises(RexError, match=r"far has shape \(3,\); give far: bool\[2\]"):
        policy.action({**seen, "far": np.zeros(3, bool)})
    with pytest.raises(RexError, match=r"observations of ToCentre are \{cell.*\}, but .* trained with 6 real numbers"):
        policy.replace(observation_space=None).controller(bound)
    with pytest.raises(RexError, match=r"actions of ToCentre are MultiDiscrete\(\[3, 2\]\), .* with 2 real numbers"):
        policy.replace(action_space=Box([-1, -1], [1, 1])).controller(bound)


def test_the_folder_says_in_words_what_a_policy_takes_and_gives(tmp_path):
    untrained(ToCentre)[2].save(tmp_path / "policy")
    about = json.loads((tmp_path / "policy" / "policy.json").read_text())
    assert about["action_space"] == {"categories": [3, 2]}
    assert about["observation_space"][2] == {"path": ["place", "x"], "shape": [], "dtype": "float32"}
    untrained(Balance)[2].save(tmp_path / "other")
    about = json.loads((tmp_path / "other" / "policy.json").read_text())
    assert (about["action_space"], about["observation_space"]) == ({"n": 2}, None)


def test_a_policy_of_the_first_format_still_acts(tmp_path):
    policy = make_policy()
    policy.save(tmp_path / "policy")
    about = {
        "format": 1,
        "network": {
            "action_size": 1, "layers": 2, "units": 8, "activation": "relu", "kernel_init": "xavier_uniform",
            "state_independent_std": True, "squash": True,
        },
        "action_space": {"low": [-2.0], "high": [2.0]}, "normalized": True, "env": {},
    }  # fmt: skip
    (tmp_path / "policy" / "policy.json").write_bytes(encode_json(about))
    again = Policy.load(tmp_path / "policy")
    assert jax.tree.structure(again) == jax.tree.structure(policy)
    observation = jnp.linspace(-1, 1, 7)[:, None]
    np.testing.assert_array_equal(again.action(observation), policy.action(observation))


@pytest.mark.parametrize("damage", [{"n": 2.5}, {"n": 0}, {"categories": []}, {"low": [0.0]}])
def test_a_space_that_is_none_is_a_damaged_policy(tmp_path, damage):
    make_policy().save(tmp_path / "policy")
    file = tmp_path / "policy" / "policy.json"
    file.write_bytes(encode_json(json.loads(file.read_text()) | {"action_space": damage}))
    with pytest.raises(RexError, match="damaged"):
        Policy.load(tmp_path / "policy")


# ------------------------------------------------------------------ what is refused


def test_whole_numbers_need_a_space_of_the_task_s_own():
    class Plain(ToZero):
        pass

    system = chosen(ToCentre)[1].system
    with pytest.raises(RexError, match=r"'agent' sends whole numbers.*Discrete\(n\)"):
        _ = Plain().bind(system).action_space
    with pytest.raises(RexError, match=r"an action has 1 numbers, but what 'agent' sends has 2; write act"):
        Plain().bind(system).act(None, jnp.int32(1))
    assert isinstance(system.nodes["agent"], Chooser)


@pytest.mark.parametrize("bad", [0, -1, 2.0, True, "3"])
def test_a_number_of_categories_is_whole_and_positive(bad):
    with pytest.raises(RexError, match="categories; give a whole number"):
        Discrete(bad)
    with pytest.raises(RexError, match="categories; give a whole number"):
        MultiDiscrete([2, bad])


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        ({}, "no number in it"),
        ({"a": jnp.zeros(0)}, "no number in it"),
        ({1: jnp.zeros(2)}, "text for keys"),
        ({"a": (jnp.zeros(2), jnp.zeros(1))}, "text for keys"),
        ({"a": jnp.zeros(2, jnp.complex64)}, "complex64; give real numbers"),
        ((jnp.zeros(2),), "tuple: return a vector"),
    ],
)
def test_an_observation_that_no_network_takes_is_refused(seen, message):
    class Odd(ToZero):
        def observe(self, step_state):
            return seen

    with pytest.raises(RexError, match=rf"Odd\.observe returns.*{message}"):
        _ = Odd().bind(tiny_system()).observation_space


# ------------------------------------------------------------------ training


class Apart(ToZero):
    """What `Together` sees, by name."""

    def observe(self, step_state):
        place = step_state.inputs["world"][-1].data[0]
        return {"b": {"square": place**2}, "a": jnp.stack([place, -place])}


class Together(ToZero):
    def observe(self, step_state):
        place = step_state.inputs["world"][-1].data[0]
        return jnp.stack([place, -place, place**2])


@pytest.mark.slow
def test_a_dict_gives_the_numbers_of_the_vector_in_the_order_of_sorted_keys():
    learners = []
    for task in (Apart, Together):
        ppo = PPO(task().bind(tiny_system()), TINY)
        state = jax.jit(ppo.init)(tiny_program(), jax.random.key(0))
        learners.append(jax.jit(ppo.learn)(tiny_program(), state, 2)[0])
    named, plain = (jax.tree.leaves(state.learned) for state in learners)
    for one, other in zip(named, plain, strict=True):
        np.testing.assert_array_equal(one, other)


def beats_random(task, options, seconds):
    """Mean return of the trained policy and of random choices."""
    bound, program = chosen(task)
    result = train(TrainingSetup(PPO(bound, options), program, program, jax.random.key(0), seconds))

    def mean(controller):
        run = jax.jit(lambda: evaluate(program, bound, controller, jax.random.key(1), episodes=64, seconds=seconds))
        return float(run().returns.mean())

    return mean(result.policy.controller(bound)), mean(make_controller("random", program.system, bound))


def test_training_on_choices_says_how_uncertain_they_are_and_nothing_of_deviations():
    bound, program = chosen(ToCentre)
    ppo = PPO(bound, TINY)
    state = jax.eval_shape(ppo.init, program, jax.random.key(0))
    assert jax.eval_shape(ppo.collect, program, state)[1].raw.dtype == jnp.int32
    metrics = jax.eval_shape(ppo.learn, program, state, 1)[1]
    assert "entropy" in metrics
    assert "std" not in metrics


@pytest.mark.slow
def test_two_choices_at_once_learn_from_a_dict():
    options = replace(TINY, total_timesteps=128 * 30, lr=1e-2, num_seeds=1, num_evals=1, update_epochs=4)
    policy, random = beats_random(ToCentre, options, 1.0)
    assert policy > 0.6 * random, "costs fall by 40 %"


@pytest.mark.slow
def test_a_cart_pole_is_held_up_by_one_choice():
    options = PPOSettings(lr=1e-3, num_envs=32, num_steps=64, total_timesteps=100_000, num_evals=2)
    policy, random = beats_random(Balance, options, 4.0)
    assert random < 40
    assert policy > 160, "of 200 steps"


@pytest.mark.long
@pytest.mark.slow
def test_the_pendulum_learns_the_same_from_a_dict():
    from nodes.pendulum import SwingUp
    from tests.rl.pendulum import make_program, make_system

    class Named(SwingUp):
        def observe(self, step_state):
            seen = super().observe(step_state)
            return {"actions": seen[:7], "trail": seen[7:].reshape(3, 4)}

    system = make_system()
    program = make_program(system, episodes=2, steps=160)
    tables = []
    for task in (SwingUp, Named):
        tables.append(table(train_tiny(task().bind(system), replace(TINY, num_seeds=1), program=program)))
    assert tables[0][0] == tables[1][0]
    np.testing.assert_array_equal(tables[0][1], tables[1][1])
