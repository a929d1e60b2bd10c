"""Signals as they were recorded: what is there, by how much it varies, and how far a simulation is off."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexcli import RexError
from rexcli.config.schema import SignalConfig
from rexcli.identify.recorded import Signal, signals_of

ANGLES = st.floats(-100, 100)


def recording(values: np.ndarray) -> SimpleNamespace:
    """One in which node `sensor` sent values `[episodes, ticks]` as `th`."""
    spec = SimpleNamespace(nodes=[SimpleNamespace(name="sensor")])
    return SimpleNamespace(path="run", spec=spec, values=lambda node, field: {"th": values})


def signal_of(values: np.ndarray, counts: list[int], **how: object) -> Signal:
    timeline = SimpleNamespace(steps={"sensor": SimpleNamespace(count=np.array(counts))})
    declared = {"sensor": {"th": SignalConfig(**how)}}  # type: ignore[arg-type]
    [found] = signals_of(declared, [recording(values)], timeline, ["sensor"], ["sensor/output/th*"])  # type: ignore[arg-type]
    return found


@given(ANGLES, ANGLES)
def test_angles_differ_by_half_a_turn_at_most(simulated: float, recorded: float) -> None:
    signal = Signal("n.th", "n", "th", np.zeros(0), np.zeros(0), True, 1.0, 1.0)
    difference = signal.difference(np.array(simulated), np.array(recorded))
    assert abs(difference) <= np.pi + 1e-9
    turns = (simulated - recorded - difference) / (2 * np.pi)
    assert turns == pytest.approx(round(turns), abs=1e-9)


def test_what_is_not_finite_or_past_an_episodes_end_is_not_there() -> None:
    values = np.array([[0.0, np.nan, 2.0, 3.0], [4.0, 5.0, 99.0, 99.0]])
    signal = signal_of(values, [4, 2], angle=False)
    assert signal.there.tolist() == [[True, False, True, True], [True, True, False, False]]
    assert signal.deviation == pytest.approx(np.std([0, 2, 3, 4, 5]))


def test_an_angle_that_turns_varies_as_it_would_unwrapped() -> None:
    true = np.linspace(0, 9, 50)[None]
    wrapped = (true + np.pi) % (2 * np.pi) - np.pi
    assert signal_of(wrapped, [50]).angle, "as the pattern says"
    assert signal_of(wrapped, [50]).deviation == pytest.approx(np.std(true))
    assert signal_of(wrapped, [50], angle=False).deviation == pytest.approx(np.std(wrapped))


def test_what_never_varies_is_refused() -> None:
    with pytest.raises(RexError, match=r"identify\.signals\.sensor\.th: .* is constant in the recording \(3\)"):
        signal_of(np.full((1, 9), 3.0), [9])
