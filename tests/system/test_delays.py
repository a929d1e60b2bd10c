"""Delays: constants and distributions, their samples, quantiles and densities."""

from __future__ import annotations

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.system.delays import Constant, Delay, Random, as_delay

KEY = jax.random.key(0)
MIXTURE = distrax.MixtureSameFamily(
    distrax.Categorical(probs=jnp.array([0.25, 0.75])),
    distrax.Normal(jnp.array([0.01, 0.03]), jnp.array([0.001, 0.002])),
)
FAMILIES = {
    "normal": distrax.Normal(0.0075, 0.003),
    "mixture": MIXTURE,
    "uniform": distrax.Uniform(0.01, 0.02),
    "transformed": distrax.Transformed(distrax.Normal(-5.0, 0.1), distrax.Lambda(jnp.exp)),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_quantile_has_that_share_of_samples_below_it(family):
    delay = Random(FAMILIES[family])
    samples = np.asarray(delay.sample(KEY, 20_000))
    for share in (0.5, 0.9, 0.99):
        assert (samples <= delay.quantile(share)).mean() == pytest.approx(share, abs=0.012)


@pytest.mark.parametrize("family", FAMILIES)
def test_more_episodes_and_more_ticks_extend_the_draws(family):
    delay = Random(FAMILIES[family])
    few, many = delay.sample_episodes(KEY, np.arange(1, 3), 5), delay.sample_episodes(KEY, np.arange(4), 9)
    np.testing.assert_array_equal(few, many[1:3, :5])
    assert (few >= 0).all()
    assert (few[0] != few[1]).any()


def test_density_integrates_to_one():
    x = np.linspace(0, 0.05, 5001)
    assert np.trapezoid(Random(MIXTURE).density(x), x) == pytest.approx(1, abs=1e-3)


def test_a_family_of_ones_own_needs_samples_and_quantiles_alone():
    class Halves(Delay):
        def sample(self, key, num):
            return jnp.where(jax.random.bernoulli(key, 0.5, (num,)), 0.01, 0.03).astype(jnp.float32)

        def quantile(self, share):
            return 0.01 if share <= 0.5 else 0.03

        def density(self, seconds):
            return None

    assert Halves().cdf(0.02) == pytest.approx(0.5, abs=0.01)
    few, many = (Halves().sample_episodes(KEY, np.arange(count), 7) for count in (2, 4))
    np.testing.assert_array_equal(few, many[:2])


def test_normal_quantile_is_exact():
    assert Random(distrax.Normal(0.0075, 0.003)).quantile(0.99) == pytest.approx(0.0075 + 0.003 * 2.3263479, rel=1e-6)


def test_samples_and_quantiles_below_zero_count_as_zero():
    delay = Random(distrax.Normal(-1.0, 0.1))
    assert delay.quantile(0.99) == 0.0
    assert (np.asarray(delay.sample(KEY, 10)) == 0).all()


def test_numbers_and_deterministic_are_constants():
    for value in (2, 0.5, distrax.Deterministic(0.5)):
        delay = as_delay(value)
        assert isinstance(delay, Constant)
        assert delay.quantile(0.99) == delay.seconds
        assert (np.asarray(delay.sample(KEY, 3)) == np.float32(delay.seconds)).all()


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "fast", True, None, object()])
def test_what_is_no_time_is_refused(value):
    with pytest.raises(RexError, match="delay"):
        as_delay(value)


@pytest.mark.parametrize("distribution", [distrax.Normal(float("nan"), 1.0), distrax.Normal(jnp.zeros(2), 1.0)])
def test_distributions_that_are_no_delay_are_refused(distribution):
    with pytest.raises(RexError, match="delay Normal"):
        Random(distribution)


def test_delays_that_are_alike_are_compiled_once():
    traced = []

    class Noted(Delay):
        def __init__(self, low):
            self.low = low

        def sample(self, key, num):
            traced.append(self.low)
            return self.low + jax.random.uniform(key, (num,))

        def quantile(self, share):
            return self.low + share

        def density(self, seconds):
            return None

    drawn = [Noted(low).sample_episodes(KEY, np.arange(2), 3) for low in (0.1, 0.1, 0.2, 0.1)]
    assert traced == [0.1, 0.2]
    np.testing.assert_array_equal(drawn[0], drawn[3])
    assert (drawn[2] > drawn[0]).all()
