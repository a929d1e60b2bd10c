"""The histogram of lateness: every node drawn, medians where they are, labels apart."""

from __future__ import annotations

import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.plot import lateness
from rexcli.plot.declared import Declared
from tests.plot.boxes import by_gid, clipped, covered
from tests.plot.fixtures import PENDULUM, config_of


@pytest.mark.parametrize("config", [PENDULUM, config_of(["solo"], [])], ids=["pendulum", "one"])
@pytest.mark.parametrize("scale", [1e3, 1e5, 1e8], ids=["µs", "0.1 ms", "0.1 s"])
def test_medians_are_drawn_and_labels_stay_apart(config: dict, scale: float) -> None:
    rng = np.random.default_rng(0)
    late = {name: (rng.gamma(2.0, scale, 500)).astype(np.int64) for name in config["nodes"]}
    fig = lateness.draw(late, Declared.from_config(config))
    for name, values in late.items():
        [line] = by_gid(fig, f"median:{name}")
        assert line.get_xdata()[0] == pytest.approx(np.median(np.maximum(values / 1e9, lateness.SMALLEST)))
    assert covered(fig) == []
    assert clipped(fig) == []


def test_nodes_without_steps_are_left_out_and_none_at_all_is_refused() -> None:
    late = {"a": np.zeros(3, np.int64), "b": np.zeros(0, np.int64)}
    declared = Declared.from_config(config_of(["a", "b"], []))
    assert len(lateness.draw(late, declared).axes) == 1
    with pytest.raises(RexError, match="no step"):
        lateness.draw({"b": late["b"]}, declared)
