"""What nothing can be drawn from is refused, with the key and the fix."""

from __future__ import annotations

import math

import pytest

from rexcli.errors import RexError
from rexcli.system.ranges import Range, Ranges
from tests.system.test_randomize import make


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        (
            {"nodes": {"watr": {"area": Range(1, 2)}}},
            "randomize.nodes.watr: no node is called 'watr'; did you mean 'water'",
        ),
        ({"edges": {"water_gage": Range(0, 1)}}, "randomize.edges.water_gage: no edge is called"),
        ({"computation": {"tap": Range(0, 1)}}, "randomize.computation.tap: no node is called"),
        ({"nodes": {"water": {"area": Range(2, 1)}}}, "randomize.nodes.water.area.low=2: give less than high=1"),
        (
            {"nodes": {"water": {"area": Range(1)}}},
            "randomize.nodes.water.area=low=1: give low and high; or mean and std",
        ),
        ({"nodes": {"water": {"area": Range(low=0, high=1, log=True)}}}, "area.log=true: give a positive low"),
        ({"nodes": {"water": {"area": Range(mean=1.0, std=0.0)}}}, "area.std=0: give a positive number"),
        ({"nodes": {"water": {"area": Range(0, math.inf)}}}, "area.high=inf: give a finite number"),
        ({"edges": {"valve_water": Range(-0.01, 0.02)}}, "randomize.edges.valve_water.low=-0.01: a delay is 0 or more"),
        ({"edges": {"valve_water": Range(mean=0.01, std=1.0)}}, "valve_water.low=null: a delay is 0 or more"),
        ({"edges": {"water_gauge": Range(0.0, 0.07)}}, "adjustable from 0 to 0.06 s; stay within, or widen it"),
        ({"edges": {"water_gauge": Range(0.0, mean=0.03, std=0.02)}}, "0 to inf: the delay of edge 'water_g"),
        ({"edges": {"water_gauge": Range(0.0, 0.09, operation="add")}}, "adjustable from 0 to 0.06 s; stay within"),
        ({"edges": {"water_gauge": Range(0.0, 0.05, path="x")}}, "water_gauge.path=x: an edge has one delay"),
    ],
)
def test_what_cannot_be_drawn_is_refused(ranges, message):
    with pytest.raises(RexError, match=message):
        make(Ranges(**ranges))
