"""What an identification says: no number of what is not identifiable, and fragments of what was reproduced alone."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from rexcli.config.schema import IdentifyConfig, UnknownConfig
from rexcli.identify import report
from rexcli.identify.identify import Identification
from rexcli.identify.uncertainty import Estimate, Uncertainty
from rexcli.identify.unknowns import Unknowns

BODY = {"mass": UnknownConfig(low=1.0, high=3.0), "load": UnknownConfig(share="body.mass", scale=2.0)}
CONFIG = IdentifyConfig(nodes={"body": BODY}, edges={"wire": UnknownConfig(low=0.0, high=0.1, interpolation="hold")})
SYSTEM = SimpleNamespace(edges={"wire": SimpleNamespace(target="body")}, specs={"body": SimpleNamespace(rate=100.0)})
ROWS = SimpleNamespace(
    signal=np.array([0, 1, 0, 0]),
    episode=np.array([1, 0, 0, 0]),
    time=np.array([0.1, 0.5, 0.4, 0.2]),
    recorded=np.array([1.0, 2.0, 3.0, 4.0]),
    fitted=np.array([True, True, False, True]),
)


def found(error: float = 0.1, held_out: float = 0.1) -> Identification:
    signals = [SimpleNamespace(name="eye.x"), SimpleNamespace(name="eye.v")]
    program = SimpleNamespace(system=SYSTEM)
    problem = SimpleNamespace(unknowns=Unknowns(CONFIG), program=program, rows=ROWS, signals=signals)
    estimates = [
        Estimate("body.mass", 2.0, 1.9, 2.1, "identified", (1.0, 3.0), 5.0),
        Estimate("edges.wire.delay", 0.05, 0.0, 0.1, "not identifiable: widen it", (0.0, 0.1), 0.0),
    ]
    unsure = Uncertainty(np.diag([0.02**2, 100.0]), 2.0, np.zeros(2), np.zeros(2))
    errors = {"eye.x": (error, held_out)}
    z, simulated = np.array([0.5, 0.5]), ROWS.recorded + 0.5
    return Identification(problem, z, estimates, unsure, [], errors, simulated, 0, 0.0)  # type: ignore[arg-type]


def test_what_is_not_identifiable_has_a_verdict_and_no_number() -> None:
    assert [list(row) for row in report.table(found()).rows] == [
        ["body.mass", 2.0, 1.9, 2.1, "identified"],
        ["edges.wire.delay", None, None, None, "not identifiable: widen it"],
    ]
    assert report.warnings(found()) == ["edges.wire.delay: not identifiable: widen it"]
    columns, rows = report.estimates_rows(found())
    assert [dict(zip(columns, row, strict=True))["estimate"] for row in rows] == [2.0, 0.05]


def test_fragments_have_every_declared_number_where_the_recording_is_reproduced() -> None:
    params, delays = report.fragments(found())
    assert params == {"nodes": {"body": {"params": {"mass": 2.0, "load": 4.0}}}}
    assert delays["edges"]["wire"]["delay"]["value"] == 0.05
    assert delays["edges"]["wire"]["delay"]["interpolation"] == "hold"
    assert report.fragments(found(error=0.6)) == ({}, {})
    assert "nothing of it is written" in report.warnings(found(error=0.6))[0]
    assert "0.6 standard deviations off" in report.warnings(found(held_out=0.6))[0]


def test_a_posterior_is_around_the_estimate_within_the_bounds_and_shares_follow() -> None:
    draws = report.posterior_arrays(found())
    mass, load, wire = draws["nodes/body/mass"], draws["nodes/body/load"], draws["edges/wire"]
    assert all(each.shape == (report.DRAWS,) for each in (mass, load, wire))
    np.testing.assert_allclose((mass.mean(), mass.std()), (2.0, 0.04), rtol=0.1)
    np.testing.assert_allclose(load, 2 * mass)
    assert 0 <= wire.min() < 0.01 < 0.09 < wire.max() <= 0.1, "all over its bounds, as nothing is known of it"
    sure = replace(found(), uncertainty=replace(found().uncertainty, covariance=np.zeros((2, 2))))
    np.testing.assert_allclose(report.posterior_arrays(sure)["nodes/body/mass"], 2.0)


def test_signals_are_in_order_of_time() -> None:
    arrays = report.signal_arrays(found())
    assert {name: values.tolist() for name, values in arrays.items() if name.startswith("eye.x")} == {
        "eye.x/time": [0.2, 0.4, 0.1],
        "eye.x/episode": [0, 0, 1],
        "eye.x/recorded": [4.0, 3.0, 1.0],
        "eye.x/simulated": [4.5, 3.5, 1.5],
        "eye.x/fitted": [True, False, True],
    }
    assert arrays["eye.v/recorded"].tolist() == [2.0]
