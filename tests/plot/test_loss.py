"""Losses of identifications: every run has its curve, stages are marked, labels apart."""

from __future__ import annotations

import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.plot import loss
from tests.plot.boxes import clipped, covered


def test_losses_of_runs_are_beside_one_another() -> None:
    rows = np.arange(1.0, 30.0)
    stages = ["search"] * 20 + ["refine 1"] * 9
    curves = [loss.Curve("lm", 10 * rows, 1 / rows, stages), loss.Curve("cem", 128 * rows, 2 / rows, stages)]
    fig = loss.draw(curves)
    assert covered(fig) == []
    assert clipped(fig) == []
    lines = [line for line in fig.axes[0].lines if len(line.get_xdata()) > 2]
    assert [line.get_label() for line in lines] == ["lm", "cem"]
    with pytest.raises(RexError, match="no finite loss"):
        loss.draw([loss.Curve("none", rows, np.full(29, np.nan), stages)])
