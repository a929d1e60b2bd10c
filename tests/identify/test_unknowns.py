"""Coordinates lead to values within their bounds; what follows from others follows; what cannot be is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexcli import RexError
from rexcli.config.schema import IdentifyConfig, UnknownConfig
from rexcli.identify.unknowns import Unknowns

MASS = UnknownConfig(low=0.1, high=10.0, log=True, init=1.0)


@given(st.floats(0, 1), st.floats(0, 1))
def test_values_lie_within_bounds_and_shares_follow(first: float, second: float) -> None:
    body = {"mass": MASS, "load": UnknownConfig(share="body.mass", scale=2.0, offset=1.0)}
    config = IdentifyConfig(
        nodes={"body": {**body, "drag": UnknownConfig(fixed=0.3), "far": UnknownConfig(share="body.load")}},
        edges={"wire": UnknownConfig(low=0.0, high=0.05)},
    )
    values = Unknowns(config).values(np.array([first, second]))
    assert 0.1 * (1 - 1e-9) <= values["body.mass"] <= 10.0 * (1 + 1e-9)
    assert values["body.load"] == values["body.far"] == pytest.approx(2 * values["body.mass"] + 1)
    assert values["body.drag"] == 0.3
    assert values["edges.wire.delay"] == pytest.approx(0.05 * second)


def test_the_search_begins_at_init() -> None:
    unknowns = Unknowns(IdentifyConfig(nodes={"body": {"mass": MASS}}))
    assert unknowns.values(unknowns.start)["body.mass"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (UnknownConfig(), "give low and high"),
        (UnknownConfig(low=2.0, high=1.0), "a high above it"),
        (UnknownConfig(low=0.0, high=1.0, log=True), "positive low"),
        (UnknownConfig(low=0.0, high=1.0, init=2.0), "init=2"),
        (UnknownConfig(fixed=1.0, low=0.0, high=2.0), "one of low and high, fixed, share"),
        (UnknownConfig(share="body.mas"), "did you mean 'body.mass'"),
        (UnknownConfig(share="body.drag"), "each follows from another"),
    ],
)
def test_what_cannot_be_is_refused(entry: UnknownConfig, message: str) -> None:
    with pytest.raises(RexError, match=message):
        Unknowns(IdentifyConfig(nodes={"body": {"mass": MASS, "drag": entry}}))
