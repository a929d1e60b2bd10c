"""Densities from plain mappings: they integrate to one and agree with the distributions that they stand for."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from rexcli.plot import density
from tests.plot.fixtures import normal

MIXTURE = {
    "_target_": "distrax.MixtureSameFamily",
    "mixture_distribution": {"_target_": "distrax.Categorical", "probs": [0.3, 0.7]},
    "components_distribution": {"_target_": "distrax.Normal", "loc": [0.002, 0.01], "scale": [0.001, 0.002]},
}
LOGITS = {**MIXTURE, "mixture_distribution": {"_target_": "distrax.Categorical", "logits": [0.0, 1.0]}}
DELAYS: list[dict[str, Any]] = [
    normal(0.0075, 0.003),
    {"_target_": "distrax.LogStddevNormal", "loc": 0.01, "log_scale": -6.0},
    {"_target_": "distrax.Uniform", "low": 0.001, "high": 0.004},
    {"_target_": "distrax.Laplace", "loc": 0.004, "scale": 0.0005},
    {"_target_": "distrax.Logistic", "loc": 0.004, "scale": 0.0005},
    {"_target_": "distrax.Gamma", "concentration": 4.0, "rate": 800.0},
    MIXTURE,
    LOGITS,
]


def _name(delay: dict[str, Any]) -> str:
    return density.family(delay) + (" logits" if delay is LOGITS else "")


@pytest.mark.parametrize("delay", DELAYS, ids=_name)
def test_density_integrates_to_one_over_its_span(delay: dict[str, Any]) -> None:
    low, high = density.span(delay)
    x = np.linspace(low, high, 200_001)
    assert np.trapezoid(density.density(delay, x), x) == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("delay", DELAYS, ids=_name)
def test_density_is_the_one_of_the_distribution(delay: dict[str, Any]) -> None:
    distrax = pytest.importorskip("distrax")

    def build(node: Any) -> Any:
        if isinstance(node, dict):
            options = {key: build(value) for key, value in node.items() if key != "_target_"}
            return getattr(distrax, node["_target_"].partition(".")[2])(**options)
        return np.asarray(node, np.float32)

    x = np.linspace(0.0011, 0.0139, 9)
    mine, theirs = density.density(delay, x), np.exp(np.asarray(build(delay).log_prob(np.float32(x)), np.float64))
    np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=1e-6)


def test_mass_below_zero_and_quantile_of_a_normal() -> None:
    exact = NormalDist(0.002, 0.002)
    assert density.negative_mass(normal(0.002, 0.002)) == pytest.approx(exact.cdf(0.0), rel=1e-4)
    assert density.quantile(normal(0.002, 0.002)) == pytest.approx(exact.inv_cdf(0.99), rel=1e-4)
    assert density.negative_mass(normal(1.0, 0.001)) == 0.0
    assert density.negative_mass(0.003) == 0.0


@pytest.mark.parametrize(
    "delay",
    [
        0.01,
        {"_target_": "distrax.Transformed", "distribution": normal(0, 1), "bijector": {}},
        {"_target_": "distrax.Normal", "loc": "much", "scale": 1.0},
        {"_target_": "distrax.Normal", "loc": [0.1, 0.2], "scale": 1.0},
        {"_target_": "distrax.Normal", "loc": 0.1, "scale": 0.0},
        {"_target_": "distrax.MixtureSameFamily", "components_distribution": normal(0.1, 0.1)},
        {"_target_": "os.system", "command": "true"},
        {},
    ],
    ids=repr,
)
def test_what_is_not_known_has_no_density_and_still_a_description(delay: Any) -> None:
    assert density.density(delay, np.linspace(0, 0.2, 5)) is None
    assert density.describe(delay)


def test_descriptions_have_units() -> None:
    assert density.describe(0.002) == "2 ms"
    assert density.describe(normal(0.0075, 0.003)) == "7.5 ± 3 ms"
    assert density.describe({"_target_": "distrax.Uniform", "low": 0.001, "high": 0.004}) == "1 … 4 ms"
    log_scale = {"_target_": "distrax.LogStddevNormal", "loc": 0.01, "log_scale": math.log(0.002)}
    assert density.describe(log_scale) == "10 ± 2 ms"
    adjustable = {"_target_": "rexcli.AdjustableDelay", "low": 0.0, "high": 0.03}
    assert density.describe(adjustable) == "0 … 30 ms, adjustable"
    assert density.describe(MIXTURE) == "mixture, 7.6 ms"
