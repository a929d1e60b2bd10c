"""Delays that are drawn from a known distribution are found again."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.fit.families import fit, plain
from rexcli.fit.samples import DelaySamples
from rexcli.system.delay_families import Correlated, Gamma, LogNormal, Mixture, TruncatedNormal

TRUE = {
    "truncated_normal": [TruncatedNormal(0.0075, 0.003), TruncatedNormal(0.001, 0.004), TruncatedNormal(0.05, 0.002)],
    "log_normal": [LogNormal(-4.0, 0.8), LogNormal(-3.0, 0.5)],
    "gamma": [Gamma(2.0, 100.0), Gamma(1.0, 200.0)],
    "mixture": [
        Mixture([TruncatedNormal(0.01, 0.001), TruncatedNormal(0.03, 0.002)], [0.25, 0.75]),
        Mixture([LogNormal(-5.0, 0.2), LogNormal(-3.0, 0.3)], [0.8, 0.2]),
    ],
}
CASES = [(family, delay) for family, delays in TRUE.items() for delay in delays]


def samples_of(seconds: np.ndarray, **changes: object) -> DelaySamples:
    count = len(seconds)
    none = np.zeros(count, bool)
    episode = np.zeros(count, np.int64)
    made = DelaySamples("edge", "link", seconds, none, none, episode, none, episode)
    return dataclasses.replace(made, **changes)


def draw(delay, count: int, seed: int) -> np.ndarray:
    return np.asarray(delay.sample(jax.random.key(seed), count), np.float64)


@pytest.mark.parametrize(
    ("family", "delay"),
    [pytest.param(*case, marks=() if case[1] is TRUE[case[0]][0] else pytest.mark.slow) for case in CASES],
    ids=lambda each: each if isinstance(each, str) else repr(each),
)
def test_six_hundred_messages_give_mean_and_upper_quantile(family, delay):
    x = np.linspace(0, delay.quantile(0.99999), 200_001)
    mean = np.trapezoid(1 - delay.cdf(x), x)
    means, quantiles = [], []
    for seed in range(5):
        found = fit(samples_of(draw(delay, 600, seed)))
        means.append(np.trapezoid(1 - found.delay.cdf(x), x) / mean - 1)
        quantiles.append(found.delay.quantile(0.9) / delay.quantile(0.9) - 1)
        assert found.delay.cdf(-1e-9) == 0
        assert not found.poor
    # The error of a mean of 600 samples is itself a few percent of the mean for long tails.
    spread = np.sqrt(np.trapezoid(2 * x * (1 - delay.cdf(x)), x) - mean**2) / mean / np.sqrt(600)
    assert np.median(np.abs(means)) < 0.05
    assert np.median(np.abs(quantiles)) < 0.1
    assert np.max(np.abs(means)) < max(0.05, 3 * spread)


@pytest.mark.parametrize(
    ("family", "delay"),
    [
        pytest.param(*case, marks=() if case[1] is TRUE[case[0]][0] else pytest.mark.slow)
        for case in CASES
        if case[1] is not TRUE["truncated_normal"][2]  # too narrow to be told from a gamma
    ],
    ids=lambda each: each if isinstance(each, str) else repr(each),
)
def test_with_many_messages_the_family_is_the_right_one(family, delay):
    assert fit(samples_of(draw(delay, 8000, 1))).best.family == family


def test_constants_and_too_few_samples_have_no_distribution():
    constant = fit(samples_of(np.full(100, 0.0213)))
    assert plain(constant.delay) == 0.0213
    few = fit(samples_of(np.array([0.01, 0.02, 0.03])))
    assert plain(few.delay) == pytest.approx(0.02)
    with pytest.raises(RexError, match="edge 'link': no delay was measured"):
        fit(samples_of(np.zeros(0)))
    with pytest.raises(RexError, match="gamma"):
        fit(samples_of(np.ones(3)), ["gama"])


def test_messages_that_waited_or_were_under_way_do_not_bias_the_fit():
    delay = LogNormal(-3.0, 0.5)
    true = draw(delay, 3000, 2)
    cut = 0.06
    late = true > cut
    right = fit(samples_of(np.where(late, cut, true), at_least=late), ["log_normal"]).delay
    assert right.quantile(0.9) == pytest.approx(delay.quantile(0.9), rel=0.05)
    sent = np.arange(3000) * 0.02
    arrive = np.maximum.accumulate(sent + true)
    held = np.r_[False, arrive[1:] == arrive[:-1]]
    assert held.mean() > 0.1
    fifo = fit(samples_of(arrive - sent, at_most=held), ["log_normal"]).delay
    naive = fit(samples_of(arrive - sent), ["log_normal"]).delay
    error, without = (abs(found.quantile(0.5) / delay.quantile(0.5) - 1) for found in (fifo, naive))
    assert error < 0.06
    assert error < without


def test_correlation_is_found_and_only_where_it_is():
    marginal = Gamma(2.0, 100.0)
    found = fit(samples_of(draw(Correlated(marginal, 0.8), 5000, 3)))
    assert found.correlated
    assert found.delay.correlation == pytest.approx(0.8, abs=0.05)
    assert found.effective < 1000
    assert not fit(samples_of(draw(marginal, 5000, 3))).correlated


def test_losses_and_outliers_are_counted():
    lost = np.zeros(1000, bool)
    lost[100:104] = lost[500:502] = True
    found = fit(samples_of(draw(Gamma(2.0, 100.0), 994, 4), lost=lost, lost_episode=np.zeros(1000, np.int64)))
    assert (found.loss, found.burst) == (0.006, 3.0)
    seconds = draw(TruncatedNormal(0.01, 0.001), 994, 4)
    seconds[17] = 0.5
    assert fit(samples_of(seconds), ["truncated_normal", "gamma"]).outliers == 1


def test_what_is_written_declares_what_was_found():
    from rexcli.config.key_origins import Origins
    from rexcli.config.targets import Loader

    for delay, *_ in TRUE.values():
        found = fit(samples_of(draw(Correlated(delay, 0.6), 3000, 5)))
        built = Loader((), Origins()).build(plain(found.delay), "edges.link.delay")
        np.testing.assert_allclose(
            built.quantiles(np.array([0.1, 0.9])), found.delay.quantiles(np.array([0.1, 0.9])), rtol=1e-3
        )


def test_delays_of_no_time_at_all_have_a_part_of_their_own():
    seconds = np.maximum(np.random.default_rng(0).normal(0.002, 0.002, 3000), 0.0)
    found = fit(samples_of(seconds))
    assert not found.poor
    assert plain(found.delay)["delays"][0] == 0.0
    assert (draw(found.delay, 3000, 1) == 0).mean() == pytest.approx((seconds == 0).mean(), abs=0.03)


@pytest.mark.parametrize("count", [900, 2000, 10_000])
def test_an_outlier_stays_as_long_and_as_rare_as_it_was(count):
    seconds = np.append(np.random.default_rng(0).normal(0.01, 1e-4, count), 5.0)
    found = fit(samples_of(seconds))
    beyond = 1 - found.delay.cdf(np.array([0.1, 4.0]))
    np.testing.assert_allclose(beyond, 1 / (count + 1), rtol=0.1)
