"""Families of delays: samples, quantiles, distribution functions and densities agree; correlation is as declared."""

from __future__ import annotations

import distrax
import jax
import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtri

from rexcli.errors import RexError
from rexcli.system.adjustable import AdjustableDelay
from rexcli.system.delay_families import Correlated, Gamma, LogNormal, Mixture, Normal, Regimes, TruncatedNormal
from rexcli.system.delays import as_delay

KEY = jax.random.key(3)
COUNT = 40_000
FAMILIES = {
    "truncated": TruncatedNormal(0.002, 0.003),
    "truncated below": TruncatedNormal(-0.002, 0.003),
    "log": LogNormal(-4.0, 0.5),
    "truncated tail": TruncatedNormal(-0.008, 0.001),
    "gamma": Gamma(2.5, 300.0),
    "mixture": Mixture([TruncatedNormal(0.01, 0.001), LogNormal(-3.0, 0.2), distrax.Gamma(3.0, 100.0)], [2, 1, 1]),
    "correlated": Correlated(Gamma(2.5, 300.0), 0.7),
    "regimes": Regimes([TruncatedNormal(0.01, 0.001), LogNormal(-3.0, 0.2)], [[0.9, 0.1], [0.3, 0.7]]),
}
SLOW_TO_COMPILE = ("gamma", "correlated", "mixture")
"""JAX compiles the draws of a gamma distribution anew for every size, and takes seconds each time."""
REFERENCE = {
    "truncated": stats.truncnorm(-0.002 / 0.003, np.inf, 0.002, 0.003),
    "truncated below": stats.truncnorm(0.002 / 0.003, np.inf, -0.002, 0.003),
    "log": stats.lognorm(0.5, scale=np.exp(-4.0)),
    "gamma": stats.gamma(2.5, scale=1 / 300.0),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_a_family_is_that_of_scipy(name):
    delay, reference = FAMILIES[name], REFERENCE[name]
    shares = np.linspace(0.001, 0.999, 99)
    seconds = reference.ppf(shares)
    np.testing.assert_allclose(delay.quantiles(shares), seconds, rtol=1e-9)
    np.testing.assert_allclose(delay.cdf(seconds), shares, rtol=1e-9)
    np.testing.assert_allclose(delay.density(seconds), reference.pdf(seconds), rtol=1e-9)
    assert delay.cdf(-1.0) == 0
    assert delay.density(-1.0) == 0


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "mixture" else ()) for name in FAMILIES]
)
def test_samples_have_the_quantiles_and_the_density_integrates_to_the_distribution_function(name):
    delay = FAMILIES[name]
    draws = delay.sample_episodes(KEY, np.arange(4), COUNT // 4).ravel()
    assert (draws >= 0).all()
    effective = COUNT * 0.15 if name in ("correlated", "regimes") else COUNT
    for share in (0.1, 0.5, 0.9, 0.99):
        assert (draws <= delay.quantile(share)).mean() == pytest.approx(
            share, abs=4 * np.sqrt(share * (1 - share) / effective)
        )
        assert float(delay.cdf(delay.quantile(share))) == pytest.approx(share, abs=1e-4)
    x = np.linspace(0, delay.quantile(0.9), 40_001)
    assert np.trapezoid(delay.density(x), x) == pytest.approx(0.9, abs=1e-3)


@pytest.mark.parametrize(("loc", "scale"), [(0.0075, 0.003), (0.002, 0.004), (-0.01, 0.005)])
def test_normal_is_that_of_distrax_to_the_last_bit(loc, scale):
    ours, theirs, episodes = Normal(loc, scale), as_delay(distrax.Normal(loc, scale)), np.arange(3)
    for num in (1, 333):
        np.testing.assert_array_equal(
            ours.sample_episodes(KEY, episodes, num), theirs.sample_episodes(KEY, episodes, num)
        )
    x = np.linspace(0.0, 0.02, 9)
    np.testing.assert_allclose(ours.cdf(x), theirs.cdf(x), atol=1e-6)
    np.testing.assert_allclose(ours.density(x), theirs.density(x), rtol=1e-4)
    np.testing.assert_allclose(ours.quantiles(np.array([0.1, 0.9])), theirs.quantiles(np.array([0.1, 0.9])), atol=2e-4)
    assert ours.quantile(0.99) == pytest.approx(theirs.quantile(0.99), rel=1e-6)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in SLOW_TO_COMPILE else ()) for name in FAMILIES],
)
def test_more_episodes_and_more_ticks_extend_the_draws(name):
    delay = FAMILIES[name]
    few, many = delay.sample_episodes(KEY, np.arange(1, 3), 50), delay.sample_episodes(KEY, np.arange(4), 90)
    np.testing.assert_array_equal(few, many[1:3, :50])
    assert (few[0] != few[1]).any()


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95])
def test_a_correlated_delay_is_correlated_as_declared(correlation):
    delay = Correlated(Gamma(2.5, 300.0), correlation)
    scores = ndtri(delay.delay.cdf(delay.sample_episodes(KEY, np.arange(8), 10_000)))
    for lag in (1, 3):
        seen = np.corrcoef(scores[:, :-lag].ravel(), scores[:, lag:].ravel())[0, 1]
        assert seen == pytest.approx(correlation**lag, abs=0.05)


def test_regimes_last_as_long_as_declared():
    delay = Regimes([0.01, 0.05], [[0.95, 0.05], [0.2, 0.8]])
    busy = delay.sample_episodes(KEY, np.arange(8), 10_000) > 0.03
    assert busy.mean() == pytest.approx(0.2, abs=0.02)
    assert (busy[:, 1:] & ~busy[:, :-1]).sum() / (~busy[:, :-1]).sum() == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Normal(0.1, 0.0), "scale 0: give a number greater than 0"),
        (lambda: TruncatedNormal(0.1, 0.0), "scale 0: give a number greater than 0"),
        (lambda: TruncatedNormal(float("nan"), 1.0), "loc nan: give a finite number"),
        (lambda: TruncatedNormal(-1.0, 0.1), "more than 8 scales below 0"),
        (lambda: LogNormal(0.1, -1.0), "scale -1: give a number greater than 0"),
        (lambda: Gamma(0.0, 1.0), "concentration 0"),
        (lambda: Mixture([0.1, 0.2], [1.0]), "weights has 1 numbers; give one for each of the 2"),
        (lambda: Mixture([0.1, 0.2], [1.0, -1.0]), "0 or more"),
        (lambda: Mixture([AdjustableDelay(0.0, 1.0)], [1.0]), "cannot be a part of another"),
        (lambda: Correlated(0.1, 1.0), "correlation 1"),
        (lambda: Regimes([0.1, 0.2], [[1.0, 0.0], [0.0, 1.0]]), "give every regime a way to every other"),
        (lambda: Regimes([0.1, 0.2], [[1.0, 0.0]]), "transitions has 1 rows; give 2"),
        (lambda: Regimes([0.1, 0.2], [[0.9, 0.9], [0.5, 0.5]]), "sum to 1.8; give 1"),
        (lambda: Regimes([], []), "delays is empty"),
    ],
)
def test_what_is_no_distribution_is_refused(make, message):
    with pytest.raises(RexError, match=message):
        make()
