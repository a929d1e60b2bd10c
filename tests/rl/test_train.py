import functools
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli import RexError
from rexcli.rl.evaluate import evaluate
from rexcli.rl.ppo import PPO
from rexcli.rl.train import TrainingRequest, train, train_together
from rexcli.rl.training_setup import TrainingSetup
from tests.rl.pendulum import make_program, make_system, make_task
from tests.rl.tiny import TINY, ToZero, table, tiny_setup, tiny_system, train_tiny


@functools.cache
def once():
    """A training, and what it told on the way."""
    told = []
    return train_tiny(on_evaluation=told.append), told


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_made_and_the_same_seed_makes_the_same():
    def interrupt(progress):
        if progress.evaluation == 2:
            raise KeyboardInterrupt

    whole, cut = once()[0], train_tiny(on_evaluation=interrupt)
    assert cut.interrupted
    assert not whole.interrupted
    assert np.isfinite(cut.best_returns).all()
    assert table(cut) == (table(whole)[0], table(whole)[1][:4])


def test_the_table_has_a_row_for_each_evaluation_and_seed():
    columns, rows = table(once()[0])
    assert columns[:3] == ["timesteps", "updates", "seed"]
    assert [row[:3] for row in rows] == [[n * 128, n, seed] for n in (2, 4, 6) for seed in (0, 1)]
    values = np.array([row[3:] for row in rows])
    assert np.isfinite(values).all()
    assert len(np.unique(values[:, columns.index("train/kl") - 3])) == len(rows), "seeds and updates differ"


@pytest.mark.slow
def test_a_seed_learns_the_same_whether_told_on_often_or_once():
    both = once()[0].history[-1].metrics["eval/return_mean"]
    fewer = train_tiny(settings=replace(TINY, num_evals=1)).history[-1].metrics["eval/return_mean"]
    np.testing.assert_array_equal(both, fewer)


@pytest.mark.slow
def test_trainings_side_by_side_give_what_they_give_alone_and_fail_alone():
    """With three seeds that take turns on fewer devices, another learning rate and another key; one meets NaN."""
    task = ToZero().bind(tiny_system())
    setups = [
        tiny_setup(task, replace(TINY, num_seeds=3, num_evals=2, lr=lr), key)
        for lr, key in ((3e-3, 0), (np.nan, 0), (1e-3, 5))
    ]
    assert all(setups[0].shares_program(setup) for setup in setups)
    first, failed, last = train_together([TrainingRequest(setup) for setup in setups])
    assert "not finite in every seed, first in update 0" in str(failed)
    for setup, together in ((setups[0], first), (setups[2], last)):
        alone = train(setup)
        assert table(together) == table(alone)
        jax.tree.map(np.testing.assert_array_equal, together.policies, alone.policies)
    one = tiny_setup(task, replace(TINY, num_seeds=3, num_evals=2, ent_coef=0.01))
    assert not setups[0].shares_program(one)


def test_a_training_with_other_numbers_finds_its_program_compiled():
    def compiled():
        return {path.name for path in Path(jax.config.jax_compilation_cache_dir).glob("*-cache")}

    whole, before = once()[0], compiled()
    assert any("of_place" in name for name in before)
    numbers = {"lr": 1e-3, "gamma": 0.9, "gae_lambda": 0.8, "clip_eps": 0.1, "vf_coef": 1.0, "max_grad_norm": 1.0}
    other = train_tiny(settings=replace(TINY, **numbers))
    assert compiled() == before
    assert table(other) != table(whole)


def test_progress_and_the_best_policies_are_of_the_best_evaluation():
    result, told = once()
    assert [progress.evaluation for progress in told] == [1, 2, 3]
    returns = np.array([progress.metrics["eval/return_mean"] for progress in told])
    np.testing.assert_array_equal(result.best_returns, returns.max(axis=0))
    assert result.best == returns.max(axis=0).argmax()
    assert result.timesteps == 2 * 6 * 128
    assert result.steps_per_second > 0


@pytest.mark.slow
def test_nan_in_every_seed_is_an_error_that_names_the_update():
    class Poisoned(ToZero):
        def reward(self, graph_state):
            return jnp.where(graph_state.eps == 1, jnp.nan, 0.0)

    with pytest.raises(RexError, match=r"not finite in every seed, first in update \d"):
        train_tiny(Poisoned().bind(tiny_system()))


@pytest.mark.slow
def test_evaluations_are_on_the_same_episodes_and_draw_nothing_that_an_action_draws(monkeypatch):
    from rexcli.rl import seed_program
    from rexcli.rl.networks import ActionDistribution

    drawn = {"actions": set(), "evaluations": set()}

    def note(what, rng):
        jax.debug.callback(lambda key: drawn[what].add(tuple(np.ravel(key).tolist())), jax.random.key_data(rng))

    def sample(self, rng, plain=ActionDistribution.sample):
        note("actions", rng)
        return plain(self, rng)

    def judge(*args, **options):
        note("evaluations", args[3])
        return evaluate(*args, **options)

    monkeypatch.setattr(ActionDistribution, "sample", sample)
    monkeypatch.setattr(seed_program, "evaluate", judge)
    train_tiny(settings=replace(TINY, num_steps=8, num_envs=16))
    jax.effects_barrier()
    assert len(drawn["evaluations"]) == 1, "three evaluations of two seeds"
    assert len(drawn["actions"]) == 2 * 6 * 8
    assert not drawn["evaluations"] & drawn["actions"]


@pytest.mark.long
@pytest.mark.slow
def test_the_pendulum_swings_up():
    from rexcli.config.schema import PPOSettings

    system = make_system()
    program, task = make_program(system, episodes=10, steps=300), make_task(system)
    settings = PPOSettings(
        lr=1e-3, anneal_lr=True, ent_coef=0.01, gamma=0.994, update_epochs=8, num_minibatches=16,
        total_timesteps=1_500_000, num_evals=5, num_eval_envs=100, kernel_init="xavier_uniform",
    )  # fmt: skip
    result = train(TrainingSetup(PPO(task, settings), program, program, jax.random.key(0)))
    fresh = jax.jit(
        lambda policy, rng: evaluate(program, task, policy.controller(task), rng, episodes=500, seconds=5.0)
    )(result.policy, jax.random.key(1))
    assert fresh.summary["hold"].mean() > 0.9
