"""The gradient steps of an update against a loop in NumPy."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli import RexError
from rexcli.rl.gradient_steps import LR_RANGE, TrainState, adapted_lr, random_order, take_gradient_steps
from rexcli.rl.ppo import PPO
from tests.rl.tiny import TINY, ToZero, table, tiny_system, train_tiny

SETTINGS = replace(TINY, update_epochs=3, num_minibatches=4)


def loss(place, samples):
    """Half the squared distance; the divergence is how far the place is from 0, squared, and the loss's."""
    return 0.5 * jnp.square(place - samples).mean(), {
        "kl": jnp.square(place),
        "loss": jnp.square(place - samples).mean(),
    }


@functools.cache
def jitted_steps(target_kl, desired_kl):
    changed = replace(SETTINGS, target_kl=target_kl, desired_kl=desired_kl)
    optimizer = optax.sgd(1.0 if desired_kl else 0.1)

    def run(samples, rng, lr):
        at = TrainState(jnp.float32(0), optimizer.init(jnp.float32(0)), lr if desired_kl else None)
        return take_gradient_steps(at, loss, optimizer, samples, rng, changed)

    return jax.jit(run)


def by_hand(samples, rng, lr, target_kl, desired_kl):
    """All steps one after the other: the place, the rate, the steps made, divergence and loss of those tried."""
    place, made, kls, losses, stopped = 0.0, 0, [], [], False
    for key in jax.random.split(rng, 3):
        epoch = []
        for minibatch in np.asarray(random_order(key, len(samples))).reshape(4, -1):
            if stopped:
                break
            kl, seen = place**2, samples[minibatch]
            epoch.append(kl)
            losses.append(np.square(place - seen).mean())
            if target_kl and kl > 1.5 * target_kl:
                stopped = True
                break
            place -= lr * (place - seen.mean())
            made += 1
        if desired_kl and epoch:
            if np.mean(epoch) > 2 * desired_kl:
                lr = max(lr / 1.5, 1e-5)
            elif np.mean(epoch) < desired_kl / 2:
                lr = min(lr * 1.5, 1e-2)
        kls += epoch
    return place, lr, made, np.mean(kls), np.mean(losses)


@settings(deadline=None, max_examples=20)
@given(
    st.integers(0, 10_000),
    st.sampled_from([(None, None), (0.1, None), (None, 1e-6), (1e-4, 1e-4)]),
    st.sampled_from([0.0, 0.1, 1.0, 3.0]),
)
def test_steps_stop_and_rates_adapt_as_a_loop_does(seed, limits, mean):
    target_kl, desired_kl = limits
    samples = np.random.default_rng(seed).normal(mean, 0.1, 32).astype(np.float32)
    rng = jax.random.key(seed)
    lr = 9e-3 if desired_kl else 0.1
    place, rate, made, kl, seen = by_hand(samples.astype(float), rng, lr, target_kl, desired_kl)
    at, metrics = jitted_steps(target_kl, desired_kl)(samples, rng, jnp.float32(lr))
    np.testing.assert_allclose(at.params, place, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose((metrics["kl"], metrics["loss"]), (kl, seen), rtol=1e-3, atol=1e-8)
    assert metrics.get("gradient_steps") == (made if target_kl else None)
    if desired_kl:
        np.testing.assert_allclose((at.lr, metrics["lr"]), rate, rtol=1e-5)
    else:
        assert at.lr is None


def test_seeds_that_run_side_by_side_stop_and_adapt_each_for_itself():
    samples = np.random.default_rng(0).normal(0.0, 0.1, (5, 32)).astype(np.float32) + np.arange(5.0)[:, None]
    samples, keys, lrs = samples.astype(np.float32), jax.random.split(jax.random.key(0), 5), jnp.full(5, 9e-3)
    together, means = jax.vmap(jitted_steps(1e-4, 1e-4))(samples, keys, lrs)
    assert len(set(means["gradient_steps"].tolist())) > 1
    assert len(set(together.lr.tolist())) > 1
    for seed in range(5):
        alone, metrics = jitted_steps(1e-4, 1e-4)(samples[seed], keys[seed], lrs[seed])
        assert metrics["gradient_steps"] == means["gradient_steps"][seed]
        np.testing.assert_allclose((together.params[seed], together.lr[seed]), (alone.params, alone.lr), rtol=1e-5)


def test_a_rate_adapts_by_a_factor_within_bounds_and_not_without_a_step():
    for kl, factor in ((0.021, 1 / 1.5), (0.019, 1), (0.0051, 1), (0.0049, 1.5), (0.0, 1)):
        np.testing.assert_allclose(adapted_lr(jnp.float32(1e-3), jnp.float32(kl), 0.01), 1e-3 * factor, rtol=1e-6)
    low, high = LR_RANGE
    np.testing.assert_allclose(adapted_lr(jnp.float32(low * 1.1), jnp.float32(9), 0.01), low, rtol=1e-6)
    np.testing.assert_allclose(adapted_lr(jnp.float32(high / 1.1), jnp.float32(1e-3), 0.01), high, rtol=1e-6)


@pytest.mark.slow
def test_a_training_that_adapts_and_stops_goes_on_from_a_checkpoint_as_if_it_had_not_ended():
    options = replace(TINY, lr=9e-3, clip_vf_eps=0.2, target_kl=2e-3, desired_kl=1e-3)
    saved = []

    whole = train_tiny(settings=options, on_checkpoint=saved.append)
    columns, rows = table(whole)
    lrs = [row[columns.index("train/lr")] for row in rows]
    assert len(set(lrs)) > 1, "it adapts"
    assert min(row[columns.index("train/gradient_steps")] for row in rows) < 8, "it stops"
    assert any(leaf.shape == (2,) and (leaf < 9e-3).any() for path, leaf in saved[0].states.items() if path == "lr")
    again = train_tiny(settings=options, start=saved[0])
    assert table(again)[1] == rows[2:]


def test_a_rate_that_adapts_begins_where_it_stays_and_is_not_annealed():
    task = ToZero().bind(tiny_system())
    with pytest.raises(RexError, match=r"ppo\.desired_kl: anneal_lr"):
        PPO(task, replace(TINY, desired_kl=0.01, anneal_lr=True))
    with pytest.raises(RexError, match=r"ppo\.lr 0\.03: .* from 1e-05 to 0\.01"):
        PPO(task, replace(TINY, desired_kl=0.01, lr=0.03))
