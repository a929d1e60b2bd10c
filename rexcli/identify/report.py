"""Reports an identification: tables, warnings, and the YAML fragments that experiments take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rexcli.identify.identify import FAR, Identification
from rexcli.identify.problem import Problem
from rexcli.runs.result import Table
from rexcli.system.parameters import nested

COLUMNS = ("name", "estimate", "low", "high", "verdict")


def table(found: Identification) -> Table:
    """Returns a table with one row per unknown; an unknown that is not identifiable has no number."""
    rows = [
        [each.name, *((each.value, each.low, each.high) if each.identified else (None,) * 3), each.verdict]
        for each in found.estimates
    ]
    return Table("Estimates, with 95 % intervals", COLUMNS, rows)


def errors_table(found: Identification) -> Table:
    rows = [[name, fitted, held] for name, (fitted, held) in found.errors.items()]
    return Table("Errors, in standard deviations of the signal", ("signal", "fitted", "held out"), rows)


def warnings(found: Identification) -> list[str]:
    """Returns warnings: first about the identification as a whole, then one per unknown that is not identifiable."""
    lines = [f"{each.name}: {each.verdict}" for each in found.estimates if not each.identified]
    fitted, held_out = (found.mean_error(held_out=which) for which in (False, True))
    if not found.reproduces:
        lines.insert(
            0,
            f"the best simulation found is {fitted:.3g} standard deviations off the recorded signals, so nothing of it "
            "is written: let it begin anew every few seconds (identify.segment), say in which states "
            "(identify.initial), widen the bounds, or mend the nodes' code",
        )
    elif held_out > FAR:
        lines.insert(
            0,
            f"what was held out is predicted {held_out:.3g} standard deviations off: the intervals are those of a "
            "model that does not hold there; look at the recorded and reproduced signals, and at identify.segment",
        )
    return lines


def estimates_rows(found: Identification) -> tuple[list[str], list[list[Any]]]:
    """Returns columns and rows of `estimates.csv`, which also lists what is not identifiable, with its verdict."""
    columns = ["name", "estimate", "low", "high", "bound_low", "bound_high", "sensitivity", "verdict"]
    rows = [
        [each.name, each.value, each.low, each.high, *(each.bounds or (None, None)), each.sensitivity, each.verdict]
        for each in found.estimates
    ]
    return columns, rows


def fragments(found: Identification) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the fragments for `params=RUN` and `delays=RUN`: `{nodes: {NAME: {params: …}}}`, `{edges: {NAME: {delay:
    …}}}`.

    Both are empty where the recording is not reproduced.
    """
    if not found.reproduces:
        return {}, {}
    params: dict[str, dict[str, float]] = {}
    delays = {}
    for name, value in found.values().items():
        place, path = found.problem.unknowns.places[name]
        if path is None:
            delays[place] = {"delay": adjustable(found.problem, place, value)}
        else:
            params.setdefault(place, {})[path] = value
    nodes = {node: {"params": nested(values)} for node, values in params.items()}
    return ({"nodes": nodes} if nodes else {}), ({"edges": delays} if delays else {})


DRAWS = 1000
"""Number of samples of the posterior."""


def posterior_arrays(found: Identification) -> dict[str, np.ndarray]:
    """Returns samples of all unknowns together, float64 `[DRAWS]` each, by `nodes/world/inertia`,
    `edges/actuator_world`.

    The samples are normally distributed around the estimate and within the bounds; unknowns that the data do not
    determine spread over all of their bounds.
    """
    unknowns = found.problem.unknowns
    centre, rng = found.z[: len(unknowns.free)], np.random.default_rng(0)
    draws = rng.multivariate_normal(centre, found.uncertainty.covariance, 50 * DRAWS)
    inside = draws[((draws >= 0) & (draws <= 1)).all(axis=1)]
    draws = np.concatenate([inside, np.clip(draws, 0, 1)])[:DRAWS]
    arrays = {}
    for name, values in unknowns.values(draws.T).items():
        place, path = unknowns.places[name]
        key = f"edges/{place}" if path is None else f"nodes/{place}/{path}"
        arrays[key] = np.array(np.broadcast_to(values, DRAWS), np.float64)
    return arrays


def adjustable(problem: Problem, edge: str, value: float) -> dict[str, Any]:
    """Returns a delay as the simulation used it."""
    system = problem.program.system
    delay = problem.unknowns.adjustable(edge, system.specs[system.edges[edge].target].rate, value)
    given = {name: getattr(delay, name) for name in ("low", "high", "value", "interpolation")}
    return {"_target_": "rexcli.AdjustableDelay", **given}


def signal_arrays(found: Identification) -> dict[str, np.ndarray]:
    """Returns the arrays from which pictures are drawn.

    By signal: `…/time`, `…/episode`, `…/recorded`, `…/simulated` and `…/fitted`, in order of time.
    """
    rows, arrays = found.problem.rows, {}
    for index, signal in enumerate(found.problem.signals):
        use = np.flatnonzero(rows.signal == index)
        use = use[np.lexsort((rows.time[use], rows.episode[use]))]
        columns: Sequence[tuple[str, np.ndarray]] = (
            ("time", rows.time),
            ("episode", rows.episode),
            ("recorded", rows.recorded),
            ("simulated", found.simulated),
            ("fitted", rows.fitted),
        )
        for name, values in columns:
            arrays[f"{signal.name}/{name}"] = values[use]
    return arrays
