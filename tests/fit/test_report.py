"""A fit's fragment declares what was found of each, and what it does not explain is said."""

from __future__ import annotations

import numpy as np
import pytest

from rexcli.fit import report
from rexcli.fit.families import Candidate, DelayFit
from rexcli.fit.samples import DelaySamples
from rexcli.system.delay_families import Gamma
from rexcli.system.delays import Constant


def fitted(kind: str, name: str, **changes: object) -> DelayFit:
    count = 100
    samples = {
        "seconds": np.linspace(0.01, 0.02, count),
        **dict.fromkeys(("at_most", "at_least", "lost"), np.zeros(count, bool)),
        **dict.fromkeys(("episode", "lost_episode"), np.zeros(count, np.int64)),
        **{key: changes.pop(key) for key in list(changes) if key in ("at_most", "at_least", "lost", "overtaken")},
    }
    candidates = (
        Candidate("gamma", Gamma(2.0, 100.0), 2, 1.0, 0.02),
        Candidate("constant", Constant(0.015), 1, 2.0, 0.5),
    )
    found = {"candidates": candidates, "correlation": 0.0, "effective": 100.0, "outliers": 0, "loss": 0.0, "burst": 0.0}
    return DelayFit(DelaySamples(kind, name, **samples), **{**found, **changes})  # type: ignore[arg-type]


def test_a_fragment_has_the_delay_of_each_and_of_edges_how_they_lose_and_reorder() -> None:
    declared = report.fragment([fitted("node", "eye"), fitted("edge", "wire", overtaken=True, loss=0.02, burst=1.0)])
    delay = {"_target_": "rexcli.Gamma", "concentration": 2.0, "rate": 100.0}
    assert declared["nodes"] == {"eye": {"delay": delay}}
    assert declared["edges"]["wire"]["delay"] == delay
    assert declared["edges"]["wire"]["reorder"] is True
    assert "0.02" in str(declared["edges"]["wire"]["loss"])
    assert set(report.fragment([fitted("edge", "wire")])) == {"edges"}
    assert "reorder" not in report.fragment([fitted("edge", "wire")])["edges"]["wire"]


def test_a_table_has_a_row_each_of_what_was_measured_in_full() -> None:
    at_least = np.arange(100) >= 50
    (node, edge) = report.table([fitted("node", "eye"), fitted("edge", "wire", at_least=at_least)], "t").records()
    assert (node["delay"], node["lost"], node["correlation"]) == ("node eye", None, None)
    assert (edge["delay"], edge["samples"], edge["lost"]) == ("edge wire", 100, 0.0)
    assert node["mean ms"] == pytest.approx(15.0)
    assert edge["mean ms"] < 12.6, "what was still under way is no measured delay"


def test_every_candidate_has_its_row_best_first() -> None:
    columns, rows = report.candidates_rows([fitted("node", "eye"), fitted("edge", "wire")])
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    assert [(row["name"], row["rank"], row["family"]) for row in records] == [
        (name, rank, family) for name in ("eye", "wire") for rank, family in enumerate(("gamma", "constant"))
    ]


def test_what_a_fit_does_not_explain_is_said_and_a_good_one_says_nothing() -> None:
    assert report.warnings([fitted("node", "eye")]) == []
    cases = [
        ({"effective": 1e5}, "no family fits well: gamma is the nearest"),
        ({"outliers": 3}, "3 of 100 delays are longer than the gamma explains (the longest 20 ms)"),
        ({"correlation": 0.8, "effective": 20.0}, "its 100 samples are worth 20 independent ones"),
        ({"overtaken": True}, "reorder: true"),
        ({"at_most": np.arange(100) < 7}, "7% of the messages waited for the one before them"),
    ]
    for changes, said in cases:
        [line] = report.warnings([fitted("edge", "wire", **changes)])
        assert line.startswith("edge 'wire': ")
        assert said in line
