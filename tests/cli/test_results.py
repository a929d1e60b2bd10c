"""Delays as a run keeps them for its pictures, and what its episodes drew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.cli.results import delay_arrays, write_drawn
from rexcli.runs.rundir import Run
from rexcli.runs.view import RunView
from rexcli.system.adjustable import AdjustableDelay
from rexcli.system.delay_families import Normal
from rexcli.system.delays import Constant


@settings(max_examples=20, deadline=None)
@given(st.floats(0.0, 0.1), st.floats(1e-4, 0.03))
def test_a_curve_holds_what_lies_above_zero_and_the_rest_is_at_zero(loc: float, scale: float) -> None:
    arrays = delay_arrays({"edge/wire": Normal(loc, scale)})
    x, density, at_zero = (arrays[f"edge/wire/{name}"] for name in ("x", "density", "at_zero"))
    assert x.min() >= 0
    assert np.trapezoid(density, x) + at_zero == pytest.approx(1.0, abs=0.01)


def test_a_constant_is_a_number_and_an_adjustable_delay_has_no_one() -> None:
    arrays = delay_arrays({"node/eye": Constant(0.02), "edge/wire": AdjustableDelay(0.0, 0.1, 0.05)})
    assert {name: float(value) for name, value in arrays.items()} == {"node/eye/constant": 0.02}


def test_what_was_drawn_has_a_row_an_episode_and_nothing_leaves_no_table(tmp_path) -> None:
    with Run.create(tmp_path, "toy", "record", argv=["rex"], seed=0, config_yaml="name: toy\n") as run:
        write_drawn(run, {})
        assert not (run.path / "drawn.csv").exists()
        write_drawn(run, {"world.mass": np.array([0.1, 0.2]), "eye.gain": np.array([3.0, 4.0])})
    table = RunView(run.path).csv("drawn.csv")
    assert {name: values.tolist() for name, values in table.items()} == {
        "episode": [0, 1],
        "world.mass": [0.1, 0.2],
        "eye.gain": [3.0, 4.0],
    }
