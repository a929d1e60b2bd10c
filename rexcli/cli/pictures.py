"""The end of every run: its results noted, its default pictures drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rexcli.runs.rundir import Run


def draw(run: Run, results: Mapping[str, Any]) -> None:
    """Notes `results` in `run.json` and draws into `plots/`. A picture that fails is logged, not fatal."""
    from rexcli.plot import draw_run
    from rexcli.runs.view import RunView

    for key, value in results.items():
        run.add_result(key, value)
    if draw_run(RunView(run.path)):
        run.register("plots")
