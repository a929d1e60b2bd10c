"""A seed's environments on several devices."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.rl import data_parallel
from rexcli.rl.data_parallel import AXIS, moments
from rexcli.rl.normalize import RunningStats
from rexcli.rl.ppo import PPO
from rexcli.system.paths import leaf_paths
from tests.rl.tiny import TINY, ToZero, tiny_program, tiny_setup, tiny_system, train_tiny

SHARED = replace(TINY, num_seeds=1, devices_per_seed=2)
TWO_DEVICES = """
import json
import jax
from tests.rl.test_data_parallel import compared

assert len(jax.devices()) == 2
print(json.dumps(compared()))
"""


def two_parts(function):
    """`function` of each half, as two devices would compute it."""
    return jax.vmap(function, axis_name=AXIS)


def test_moments_are_those_of_all_samples():
    samples = jax.random.normal(jax.random.key(0), (2, 50, 3)) * jnp.array([1.0, 5.0, 0.1]) + jnp.array(
        [0.0, 40.0, 1.0]
    )
    mean, var = two_parts(lambda part: moments(part, 2, axis=0))(samples)
    whole = samples.reshape(-1, 3)
    for each in range(2):
        np.testing.assert_allclose(mean[each], whole.mean(0), rtol=1e-5)
        np.testing.assert_allclose(var[each], whole.var(0), rtol=1e-4)
    stats = RunningStats(jnp.ones(3), 2 * jnp.ones(3), jnp.float32(10))
    shared = two_parts(lambda part: stats.update(part, 2))(samples)
    for each, leaf in zip(jax.tree.leaves(shared), jax.tree.leaves(stats.update(whole)), strict=True):
        np.testing.assert_allclose(each, jnp.broadcast_to(leaf, each.shape), rtol=1e-4)


@pytest.mark.slow
def test_one_gradient_step_on_all_samples_is_the_same_however_many_devices_have_them():
    program, whole = tiny_program(), replace(TINY, update_epochs=1, num_minibatches=1)
    ppo, shared = (PPO(ToZero().bind(tiny_system()), replace(whole, devices_per_seed=n)) for n in (1, 2))
    state = jax.jit(ppo.init)(program, jax.random.key(0))

    def update(algorithm, state, transitions):
        state, samples, metrics = algorithm.advantages(state, transitions)
        metrics = data_parallel.averaged(metrics, algorithm.devices_per_seed)
        metrics["return_mean"] /= metrics.pop("episodes")
        return (*algorithm.update(state, samples), metrics)

    collected, transitions = jax.jit(ppo.collect)(program, state)
    expected = jax.jit(lambda *given: update(ppo, *given))(collected, transitions)
    parts = data_parallel.split(collected, shared.spread(collected), 2)
    in_axes = jax.tree.map(lambda yes: 0 if yes else None, shared.spread(collected))
    halves = jax.tree.map(lambda leaf: leaf.reshape(len(leaf), 2, -1, *leaf.shape[2:]), transitions)
    got = jax.jit(jax.vmap(lambda *given: update(shared, *given), in_axes=(in_axes, 1), axis_name=AXIS))(parts, halves)
    for tree, other in ((expected[0].learned, got[0].learned), (expected[1], got[1]), (expected[2], got[2])):
        theirs = leaf_paths(other)
        for path, leaf in leaf_paths(tree).items():
            np.testing.assert_allclose(theirs[path][0], leaf, rtol=2e-4, atol=1e-6, err_msg=path)
            np.testing.assert_array_equal(theirs[path][0], theirs[path][1], err_msg=path)


@pytest.mark.slow
def test_what_is_not_finite_is_found_as_several_devices_met_it():
    program, ppo = tiny_program(), PPO(ToZero().bind(tiny_system()), SHARED)
    state = jax.jit(ppo.init)(program, jax.random.key(0))
    assert "all that was collected is finite" in ppo.find_failure(program, state)
    state = state.replace(params=jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), state.params))
    assert "that are NaN at step" in ppo.find_failure(program, state)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_envs": 7, "num_minibatches": 1}, "ppo.num_envs=7 does not split"),
        ({"num_eval_envs": 5}, "ppo.num_eval_envs=5 does not split"),
        ({"num_minibatches": 128}, "each device has 64 samples"),
        ({"num_minibatches": 8, "memory": "gru"}, "each device has 4 environments"),
    ],
)
def test_what_does_not_split_is_refused(change, said):
    with pytest.raises(RexError, match=said):
        PPO(ToZero().bind(tiny_system()), replace(SHARED, **change))


def test_more_devices_than_there_are_are_refused():
    with pytest.raises(RexError, match=r"ppo\.devices_per_seed=4: this process trains on 1"):
        tiny_setup(settings=replace(SHARED, devices_per_seed=4), devices=jax.local_devices()[:1])


def compared() -> dict:
    """Trainings of two seeds of which each has both devices, in a process that has two."""
    kept = []
    first = train_tiny(settings=replace(SHARED, num_seeds=2), on_checkpoint=kept.append)
    resumed = train_tiny(settings=replace(SHARED, num_seeds=2), start=kept[0])

    def curve(training):
        return [progress.metrics["eval/return_mean"].tolist() for progress in training.history]

    return {
        "resumed": curve(first)[1:] == curve(resumed),
        "envs": next(leaf.shape[1] for path, leaf in kept[0].states.items() if "done" in path),
        "curve": curve(first),
    }


@pytest.mark.slow
def test_devices_share_seeds_and_what_is_resumed_goes_on_as_it_would_have(tmp_path):
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "2", "JAX_COMPILATION_CACHE_DIR": str(tmp_path)}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES], env=environment, capture_output=True, text=True, check=True
    )
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["resumed"]
    assert seen["envs"] == SHARED.num_envs
    assert np.isfinite(seen["curve"]).all()
