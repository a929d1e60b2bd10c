import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.rl.normalize import RunningStats, discounted_traces

update = jax.jit(RunningStats.update)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from([1, 2, 30]), min_size=1, max_size=5), st.integers(0, 10_000), st.floats(-50, 50))
def test_batches_one_after_another_give_the_statistics_of_all_at_once(sizes, seed, mean):
    samples = np.random.default_rng(seed).normal(mean, 3.0, (sum(sizes), 2)).astype(np.float32)
    stats = RunningStats.empty((2,))
    for part in np.split(samples, np.cumsum(sizes)[:-1]):
        stats = update(stats, jnp.asarray(part))
    assert stats.count == len(samples)
    np.testing.assert_allclose(stats.mean, samples.mean(axis=0, dtype=np.float64), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(stats.var, samples.var(axis=0, dtype=np.float64), rtol=1e-3, atol=1e-2)


def test_leading_axes_are_samples():
    stats = RunningStats.empty((3,)).update(jnp.arange(24.0).reshape(4, 2, 3))
    np.testing.assert_allclose(stats.mean, [10.5, 11.5, 12.5])
    np.testing.assert_allclose(stats.var, np.arange(0, 24, 3).var() * np.ones(3), rtol=1e-6)


def test_normalised_values_have_mean_0_and_deviation_1_within_the_limit():
    samples = jax.random.normal(jax.random.key(0), (1000,)) * 4 + 7
    normal = RunningStats.empty().update(samples).normalize(samples)
    np.testing.assert_allclose([normal.mean(), normal.std()], [0, 1], atol=1e-4)
    assert RunningStats.empty().normalize(jnp.float32(1e6)) == 10


def test_a_trace_sums_discounted_rewards_by_hand():
    rewards = jnp.array([[1.0], [2.0], [4.0], [8.0]])
    dones = jnp.array([[False], [True], [False], [False]])
    last, traces = discounted_traces(jnp.array([10.0]), rewards, dones, 0.5)
    np.testing.assert_allclose(traces[:, 0], [6.0, 5.0, 4.0, 10.0])
    np.testing.assert_allclose(last, [10.0])
