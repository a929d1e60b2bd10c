"""Experiments as environments of JAX trainers: episodes begin by themselves, and are those of `GraphEnv`."""

import os
import sys
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli import RexError
from rexcli.rl.graph_env import GraphEnv
from tests.rl.choices import Balance, ToCentre, chosen

pytest.importorskip("gymnax")
from rexcli import gymnax

NUM = 5


@pytest.mark.slow
def test_episodes_begin_by_themselves_and_are_those_of_the_environment_alone():
    env = gymnax.GymnaxEnv(*chosen(Balance))

    @jax.jit
    def roll(params):
        def step(carry, key):
            _, state = carry
            keys = jax.random.split(key, NUM)
            actions = jax.vmap(env.action_space(params).sample)(keys)
            seen, after, *rest = jax.vmap(env.step, (0, 0, 0, None))(keys, state, actions, params)
            return (seen, after), (keys, state, actions, seen, after, *rest)

        start = jax.vmap(env.reset, (0, None))(jax.random.split(jax.random.key(0), NUM), params)
        return jax.lax.scan(step, start, jax.random.split(jax.random.key(1), 80))[1]

    keys, state, actions, seen, after, reward, done, info = roll(env.default_params)
    done = np.asarray(done)
    assert done.sum() > NUM
    np.testing.assert_array_equal(done, np.asarray(info["terminated"] | info["truncated"]))
    np.testing.assert_array_equal(info["discount"], np.where(info["terminated"], 0.0, 1.0))
    alone = jax.vmap(jax.vmap(GraphEnv(env.task, env.default_params.program).step))(state, actions)[1]
    np.testing.assert_allclose(reward, alone.reward)
    np.testing.assert_allclose(info["final_observation"], alone.observation, rtol=1e-6, atol=1e-6)
    fresh, begun = jax.vmap(jax.vmap(env.reset, (0, None)), (0, None))(keys, env.default_params)
    np.testing.assert_allclose(seen, np.where(done[..., None], fresh, alone.observation), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(after.steps, np.where(done, begun.steps, state.steps + 1))


@pytest.mark.slow
def test_both_kinds_of_keys_give_the_same_and_one_alone_needs_no_batch():
    env = gymnax.GymnaxEnv(*chosen(Balance))
    results = []
    for key in (jax.random.key(4), jax.random.PRNGKey(4)):
        _, state = jax.jit(env.reset)(key)
        results.append(jax.jit(env.step)(key, state, jnp.int32(1))[0])
    np.testing.assert_array_equal(*results)


def test_what_is_wrong_is_said():
    env = gymnax.GymnaxEnv(*chosen(ToCentre))
    assert set(env.observation_space().spaces) == set(env.task.observation_space.example)
    with pytest.raises(RexError, match="one choice at a time"):
        env.action_space()
    with pytest.raises(RexError, match="max_steps_in_episode=3"):
        env.reset(jax.random.key(0), env.default_params.replace(max_steps_in_episode=3))


@pytest.mark.slow
def test_purejaxrl_learns_on_it(monkeypatch):
    """Its own `ppo.py`, if PUREJAXRL names the folder of a checkout that holds it."""
    folder = os.environ.get("PUREJAXRL")
    if folder is None:
        pytest.skip("PUREJAXRL names no checkout's folder")
    import gymnax as package

    env = gymnax.GymnaxEnv(*chosen(Balance))
    monkeypatch.setattr(package, "make", lambda _: (env, env.default_params))
    for name in ("brax", "brax.envs", "brax.envs.wrappers", "brax.envs.wrappers.training", "navix"):  # not used here
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    vars(sys.modules["brax"])["envs"] = None
    vars(sys.modules["brax.envs.wrappers.training"]).update(EpisodeWrapper=None, AutoResetWrapper=None)
    monkeypatch.syspath_prepend(folder)
    ppo = {"__name__": "ppo"}
    exec(compile((Path(folder) / "ppo.py").read_text(), "ppo.py", "exec"), ppo)
    config = {
        "LR": 2.5e-3, "NUM_ENVS": 4, "NUM_STEPS": 128, "TOTAL_TIMESTEPS": 5e4, "UPDATE_EPOCHS": 4, "NUM_MINIBATCHES": 4,
        "GAMMA": 0.99, "GAE_LAMBDA": 0.95, "CLIP_EPS": 0.2, "ENT_COEF": 0.01, "VF_COEF": 0.5, "MAX_GRAD_NORM": 0.5,
        "ACTIVATION": "tanh", "ENV_NAME": "ours", "ANNEAL_LR": True, "DEBUG": False,
    }  # fmt: skip
    out = jax.jit(ppo["make_train"](config))(jax.random.PRNGKey(0))
    returns = np.asarray(out["metrics"]["returned_episode_returns"])
    assert returns[-5:].mean() > 3 * returns[2:7].mean()
