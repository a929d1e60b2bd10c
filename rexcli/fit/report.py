"""Reports a fit: its table, and the YAML fragment that an experiment takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from rexcli.fit.families import DelayFit, plain
from rexcli.runs.result import Table
from rexcli.timeline.spec import EdgeTiming

COLUMNS = (
    "delay",
    "samples",
    "mean ms",
    "q90 ms",
    "family",
    "fitted q90 ms",
    "KS distance",
    "correlation",
    "outliers",
    "lost",
    "in a row",
)


def fragment(fits: Iterable[DelayFit]) -> dict[str, Any]:
    """Returns `nodes` and `edges` with the `delay` of each, for an experiment's YAML.

    Edges also have their `loss`, and `reorder` where messages overtook one another.
    """
    found: dict[str, Any] = {"nodes": {}, "edges": {}}
    for fitted in fits:
        samples = fitted.samples
        entry = found[f"{samples.kind}s"][samples.name] = {"delay": plain(fitted.delay)}
        if samples.kind == "edge":
            entry["loss"] = plain(fitted.losses)
            if samples.overtaken:
                entry["reorder"] = True
    return {section: entries for section, entries in found.items() if entries}


def table(fits: Sequence[DelayFit], title: str) -> Table:
    """Returns a table with one row per node and edge."""
    rows = []
    for fitted in fits:
        samples = fitted.samples
        known = samples.seconds[~samples.at_least]
        rows.append(
            [
                f"{samples.kind} {samples.name}",
                len(samples),
                float(known.mean() * 1e3),
                float(np.quantile(known, 0.9) * 1e3),
                fitted.best.family,
                float(fitted.best.delay.quantile(0.9) * 1e3),
                float(fitted.best.distance),
                float(fitted.correlation) if fitted.correlated else None,
                fitted.outliers,
                float(fitted.loss) if samples.kind == "edge" else None,
                float(fitted.burst) if fitted.loss else None,
            ]
        )
    return Table(title, COLUMNS, rows)


def warnings(fits: Iterable[DelayFit]) -> list[str]:
    """Returns warnings about fits that should not be relied on as they are."""
    said = []
    for fitted in fits:
        samples, name = fitted.samples, f"{fitted.samples.kind} '{fitted.samples.name}'"
        count = len(samples)
        if fitted.poor:
            said.append(
                f"{name}: no family fits well: {fitted.best.family} is the nearest, and the share of delays below some "
                f"time is off by {fitted.best.distance:.0%}; look at plots/delays.png"
            )
        if fitted.outliers:
            said.append(
                f"{name}: {fitted.outliers} of {count} delays are longer than the {fitted.best.family} explains "
                f"(the longest {samples.seconds.max() * 1e3:.3g} ms); the fit does not bring them back"
            )
        if fitted.correlated:
            said.append(
                f"{name}: delays resemble the ones before them (correlation {fitted.correlation:.2f}): its {count} "
                f"samples are worth {fitted.effective:.0f} independent ones"
            )
        if samples.overtaken:
            said.append(f"{name}: messages overtook one another; delays.yaml says reorder: true")
        if samples.at_most.mean() >= 0.01:
            said.append(f"{name}: {samples.at_most.mean():.0%} of the messages waited for the one before them")
    return said


def candidates_rows(fits: Iterable[DelayFit]) -> tuple[list[str], list[list[Any]]]:
    """Returns columns and rows of `fit.csv`: every family that was tried, best first for each delay."""
    columns = ["kind", "name", "samples", "effective", "rank", "family", "parameters", "bic", "ks_distance", "delay"]
    rows = [
        [
            fitted.samples.kind,
            fitted.samples.name,
            len(fitted.samples),
            fitted.effective,
            rank,
            candidate.family,
            candidate.parameters,
            candidate.bic,
            candidate.distance,
            repr(candidate.delay),
        ]
        for fitted in fits
        for rank, candidate in enumerate(fitted.candidates)
    ]
    return columns, rows


def is_adjustable(edge: EdgeTiming) -> bool:
    """Returns whether the edge's delay is a parameter of the episode, which a timeline does not show."""
    return edge.adjustable > 0
