import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli.rl.networks import ACTIVATIONS, KERNELS, ActionDistribution, ActorCritic, log_tanh_slope


def density(distribution, unit):
    raw = np.arctanh(unit) if distribution.squash else unit
    return np.exp(jax.vmap(lambda r: distribution.log_prob(r[None]))(jnp.asarray(raw)))


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.7, 0.3), (-1.2, 0.6)])
def test_the_density_of_squashed_actions_integrates_to_1(mean, std):
    distribution = ActionDistribution(jnp.array([mean]), jnp.log(jnp.array([std])), squash=True)
    unit = np.linspace(-1, 1, 200_001)[1:-1].astype(np.float64)
    np.testing.assert_allclose(np.trapezoid(density(distribution, unit), unit), 1.0, atol=2e-3)


def test_the_density_of_squashed_actions_is_that_of_its_samples():
    distribution = ActionDistribution(jnp.array([0.4]), jnp.log(jnp.array([0.5])), squash=True)
    samples = distribution.unit(jax.vmap(distribution.sample)(jax.random.split(jax.random.key(0), 200_000)))
    share, edges = np.histogram(np.asarray(samples), bins=20, range=(-0.95, 0.98))
    middle, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    np.testing.assert_allclose(share / len(samples), density(distribution, middle) * width, atol=2e-3)


@pytest.mark.parametrize("squash", [True, False])
@pytest.mark.parametrize("std", [0.1, 0.5, 1.0])
def test_entropy_is_minus_the_mean_log_density(squash, std):
    distribution = ActionDistribution(jnp.array([0.3, -0.8]), jnp.log(jnp.full(2, std)), squash)
    samples = jax.vmap(distribution.sample)(jax.random.split(jax.random.key(1), 100_000))
    np.testing.assert_allclose(distribution.entropy(), -jax.vmap(distribution.log_prob)(samples).mean(), atol=0.02)


def test_the_slope_of_tanh_is_precise_where_tanh_is_flat():
    x = np.array([-40.0, -12.0, -0.3, 0.0, 1e-4, 2.0, 15.0])
    exact = -2 * np.logaddexp(x, -x) + 2 * np.log(2)
    np.testing.assert_allclose(jax.vmap(log_tanh_slope)(jnp.asarray(x)), exact, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        jax.vmap(jax.grad(log_tanh_slope))(jnp.asarray(x)), -2 * np.tanh(x), rtol=1e-5, atol=1e-6
    )


def test_squashed_actions_stay_within_one_and_others_as_they_are():
    raw = jnp.array([-30.0, -0.5, 0.5, 30.0])
    squashed = ActionDistribution(raw, raw, True).unit(raw)
    assert (jnp.abs(squashed) <= 1).all()
    assert (jnp.diff(squashed) > 0).all()
    np.testing.assert_array_equal(ActionDistribution(raw, raw, False).unit(raw), raw)


@pytest.mark.parametrize(("activation", "kernel_init"), list(zip(ACTIVATIONS, KERNELS, strict=True)))
def test_every_shape_of_network_gives_distributions_and_values(activation, kernel_init):
    network = ActorCritic(2, 1, 8, activation, kernel_init, state_independent_std=False)
    params = network.init(jax.random.key(0), jnp.zeros(3))
    actions, value = network.apply(params, jnp.ones((5, 3)))
    assert actions.mean.shape == actions.log_std.shape == (5, 2)
    assert value.shape == (5,)
    assert jnp.isfinite(value).all()


def test_a_state_independent_std_is_the_same_everywhere():
    network = ActorCritic(2, 1, 8)
    params = network.init(jax.random.key(0), jnp.zeros(3))
    actions = network.apply(params, jax.random.normal(jax.random.key(1), (5, 3)), method="policy")
    assert (actions.log_std == actions.log_std[0]).all()
    assert (actions.mean != actions.mean[0])[1:].all()
