"""Experiments as Gymnasium environments: its own checks, and the episodes of the vector environment are those alone."""

import functools
import warnings

import numpy as np
import pytest

from rexcli import RexError
from tests.rl.choices import Balance, ToCentre, chosen
from tests.rl.tiny import ToZero, tiny_program, tiny_system

gymnasium = pytest.importorskip("gymnasium")
from gymnasium.utils.env_checker import check_env  # noqa: E402 - behind the extra

from rexcli import gym  # noqa: E402


@functools.cache
def tiny():
    return ToZero().bind(tiny_system()), tiny_program()


@pytest.mark.parametrize("task", [Balance, ToCentre])
def test_choices_and_dicts_pass_the_checks(task):
    env = gym.GymEnv(*chosen(task))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # no bounds, and no spec
        check_env(env)
    assert isinstance(
        env.action_space, gymnasium.spaces.Discrete if task is Balance else gymnasium.spaces.MultiDiscrete
    )
    seen, _ = env.reset(seed=1)
    assert env.observation_space.contains(seen)


@pytest.mark.slow
def test_the_registered_pendulum_passes_the_checks():
    env = gymnasium.make("rex/pendulum", overrides=["timeline.episodes=2"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        check_env(env.unwrapped)
    assert env.unwrapped.program is gym.make("pendulum", "timeline.episodes=2").program
    _, info = env.reset()
    for _ in range(150):
        *_, terminated, truncated, info = env.step(env.action_space.sample())
    assert (terminated, truncated) == (False, True)
    assert set(info) == {"upright", "speed"}


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_each_of_many_does_what_it_does_alone(mode):
    together = gym.GymVectorEnv(*tiny(), num_envs=2, autoreset_mode=mode)
    alone = [gym.GymEnv(*tiny()) for _ in range(2)]
    seen, _ = together.reset(seed=7)
    np.testing.assert_array_equal(seen, [env.reset(seed=7 + number)[0] for number, env in enumerate(alone)])
    over = np.zeros(2, bool)
    together.action_space.seed(0)
    ends = 0
    for _ in range(16):
        actions = together.action_space.sample()
        seen, rewards, terminated, truncated, info = together.step(actions)
        for number, env in enumerate(alone):
            if over[number] and mode == "NextStep":
                expected = (env.reset()[0], 0.0, False, False, {})
            else:
                expected = env.step(actions[number])
            last = expected[0]
            if (expected[2] or expected[3]) and mode == "SameStep":
                np.testing.assert_allclose(info["final_obs"][number], last, rtol=1e-6)
                assert info["_final_obs"][number]
                last = env.reset()[0]
                ends += 1
            np.testing.assert_allclose(seen[number], last, rtol=1e-6)
            np.testing.assert_allclose(rewards[number], expected[1], rtol=1e-6)
            assert (terminated[number], truncated[number]) == expected[2:4]
        over = terminated | truncated
        ends += int(over.sum()) if mode == "NextStep" else 0
    assert ends >= 4


def test_a_seed_repeats_itself_and_episodes_differ():
    env = gym.GymEnv(*tiny())
    first = [env.reset(seed=3)[0], env.reset()[0]]
    np.testing.assert_array_equal(first, [env.reset(seed=3)[0], env.reset()[0]])
    assert not np.array_equal(*first)


def test_what_is_wrong_is_said():
    env = gym.GymEnv(*tiny())
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros(1))
    with pytest.raises(RexError, match=r"options=.*there are none"):
        env.reset(options={"start": 3})
    env.reset()
    with pytest.raises(RexError, match=r"an action of shape \[2\]: give \[1\]"):
        env.step(np.zeros(2))
    with pytest.raises(RexError, match="give NextStep or SameStep"):
        gym.GymVectorEnv(*tiny(), autoreset_mode="Disabled")
    with pytest.raises(RexError, match="did you mean 'pendulum'"):
        gym.make("pendulun")
    assert "rex/pendulum" in gym.register()


@pytest.mark.slow
def test_stable_baselines_learns_on_it():
    sb3 = pytest.importorskip("stable_baselines3")
    import torch
    from stable_baselines3.common.env_checker import check_env as sb3_check

    env = gym.GymEnv(*chosen(Balance))
    sb3_check(env, warn=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model = sb3.PPO("MlpPolicy", env, n_steps=512, seed=0, device="cpu")
        fresh = _steps(model, env)
        model.learn(4096)
        assert _steps(model, env) > max(100, 2 * fresh)
    finally:
        torch.set_num_threads(threads)


def _steps(model, env) -> float:
    """How long the pole stands under a policy with its noise, in steps, over ten episodes."""
    total = 0
    for number in range(10):
        seen, _ = env.reset(seed=100 + number)
        over = False
        while not over:
            seen, _, terminated, truncated, _ = env.step(model.predict(seen, deterministic=False)[0])
            over, total = terminated or truncated, total + 1
    return total / 10
