"""Delays in words, from plain mappings and the curves that a run left: nothing is instantiated."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from rexcli.plot.declared import Curve, Declared, NodeLook, describe
from tests.plot.fixtures import PENDULUM, FakeRun, normal

MIXTURE = {
    "_target_": "distrax.MixtureSameFamily",
    "mixture_distribution": {"_target_": "distrax.Categorical", "probs": [0.3, 0.7]},
    "components_distribution": {"_target_": "distrax.Normal", "loc": [0.002, 0.01], "scale": [0.001, 0.002]},
}
UNIFORM = Curve(np.linspace(0.0, 0.02, 201), np.full(201, 50.0))


def _curve(loc: float, scale: float) -> Curve:
    exact = NormalDist(loc, scale)
    x = np.linspace(0.0, loc + 6 * scale, 400)
    return Curve(x, np.asarray([exact.pdf(value) for value in x]), exact.cdf(0.0))


def test_quantiles_count_what_lies_below_zero() -> None:
    for share in (0.5, 0.9, 0.99):
        expected = NormalDist(0.002, 0.002).inv_cdf(share)
        assert _curve(0.002, 0.002).quantile(share) == pytest.approx(expected, rel=1e-3)
    assert _curve(0.002, 0.002).quantile(0.1) == 0.0


@pytest.mark.parametrize(
    ("delay", "curve", "words"),
    [
        (0.002, None, "2 ms"),
        ({"_target_": "distrax.Deterministic", "loc": 0.002}, None, "2 ms"),
        (normal(0.0075, 0.003), UNIFORM, "7.5 ± 3 ms"),
        ({"_target_": "distrax.Uniform", "low": 0.001, "high": 0.004}, UNIFORM, "1 … 4 ms"),
        ({"_target_": "rexcli.AdjustableDelay", "low": 0.0, "high": 0.03}, None, "0 … 30 ms, adjustable"),
        (MIXTURE, UNIFORM, "Mixture, 1 … 19 ms (90 %)"),
        (MIXTURE, None, "Mixture"),
        ({"_target_": "distrax.Normal", "loc": "much", "scale": 1.0}, None, "Normal"),
        ({"_target_": "os.system", "command": "true"}, None, "system"),
        ({}, None, "?"),
    ],
    ids=str,
)
def test_a_delay_in_words_has_its_unit(delay: Any, curve: Curve | None, words: str) -> None:
    assert describe(NodeLook("a", 50.0, "#000000", delay, curve)) == words


def test_curves_and_the_delays_that_classes_chose_are_those_of_the_run() -> None:
    arrays = {"node/world/constant": np.asarray(0.01)}
    arrays |= {
        "edge/sensor_agent/x": UNIFORM.x,
        "edge/sensor_agent/density": UNIFORM.density,
        "node/agent/x": UNIFORM.x,
    }
    config = {**PENDULUM, "nodes": {**PENDULUM["nodes"], "world": {"rate": 50}}}
    declared = Declared.of(FakeRun(None, {"delays.npz": arrays}, config))  # type: ignore[arg-type]
    nodes, edges = ({look.name: look for look in looks} for looks in (declared.nodes, declared.edges))
    assert nodes["world"].delay == 0.01
    assert edges["sensor_agent"].curve is not None
    assert edges["sensor_agent"].curve.at_zero == 0.0, "runs of before it was kept do not know it"
    assert nodes["agent"].curve is None, "half an entry is none"
