"""The end of every run: its results noted, its default pictures drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rexcli.runs.rundir import Run
from rexcli.system.delays import Constant, Delay
from rexcli.system.system import System

POINTS = 200
"""Of a density's curve."""


def draw(run: Run, results: Mapping[str, Any], system: System) -> None:
    """Notes `results` in `run.json` and draws into `plots/`. A picture that fails is logged, not fatal.

    `delays.npz` is written for the pictures, which instantiate nothing: the declared delays as plain numbers.
    """
    from rexcli.plot import draw_run
    from rexcli.runs.view import RunView

    for key, value in results.items():
        run.add_result(key, value)
    run.write_arrays("delays.npz", delay_arrays(system))
    if draw_run(RunView(run.path)):
        run.register("plots")


def delay_arrays(system: System) -> dict[str, np.ndarray]:
    """`<kind>/<name>/constant`, s, of constant delays; of the others `…/x`, s, `…/density`, 1/s, and `…/at_zero`.

    `at_zero` is the share of samples that the distribution has below 0, and that count as 0.
    """
    arrays: dict[str, np.ndarray] = {}
    delays: list[tuple[str, Delay]] = [(f"node/{name}", spec.delay) for name, spec in system.specs.items()]
    delays += [(f"edge/{name}", edge.delay) for name, edge in system.edges.items()]
    for key, delay in delays:
        if type(delay) is Constant:  # not an adjustable one, which has no one value to show
            arrays[f"{key}/constant"] = np.asarray(delay.seconds)
            continue
        spread = delay.quantile(0.999) - delay.quantile(0.5)
        x = np.linspace(max(0.0, delay.quantile(0.001) - spread / 2), delay.quantile(0.999) + spread / 2, POINTS)
        density = delay.density(x)
        if density is not None:
            arrays[f"{key}/x"], arrays[f"{key}/density"] = x, density
            arrays[f"{key}/at_zero"] = np.nan_to_num(delay.cdf(0.0))
    return arrays
