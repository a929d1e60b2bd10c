"""Signals that an identification reproduces: every value is drawn, labels apart."""

from __future__ import annotations

import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.plot import reproduced
from tests.plot.boxes import by_gid, clipped, covered


def signals(names: list[str], held: float = 0.25) -> dict[str, np.ndarray]:
    time = np.tile(np.arange(0, 12, 0.02), 2)
    arrays = {}
    for name in names:
        values = np.sin(3 * time)
        columns = (time, np.repeat([0, 1], len(time) // 2), values, values + 0.1, time < 12 * (1 - held))
        for column, each in zip(("time", "episode", "recorded", "simulated", "fitted"), columns, strict=True):
            arrays[f"{name}/{column}"] = each
    return arrays


@pytest.mark.parametrize("names", [["sensor.th"], ["sensor.th", "sensor.speed", "a_very_long_node.with.path" * 4]])
def test_recorded_and_simulated_values_are_drawn(names: list[str]) -> None:
    fig = reproduced.draw(signals(names), episode=1)
    for name in names:
        [recorded], [simulated] = by_gid(fig, f"recorded:{name}"), by_gid(fig, f"simulated:{name}")
        np.testing.assert_allclose(simulated.get_ydata() - recorded.get_ydata(), 0.1)
    assert covered(fig) == []
    assert clipped(fig) == []
    with pytest.raises(RexError, match="episode 2 has no value"):
        reproduced.draw(signals(names), episode=2)


def test_a_wrapped_angle_is_no_line_across() -> None:
    arrays = signals(["sensor.th"], held=0.0)
    time = arrays["sensor.th/time"]
    arrays["sensor.th/simulated"] = (2 * time + np.pi) % (2 * np.pi) - np.pi
    [line] = by_gid(reproduced.draw(arrays), "simulated:sensor.th")
    assert np.nanmax(np.abs(np.diff(line.get_ydata()))) < 1
