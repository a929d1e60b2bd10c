"""Runs are named by what sets them apart, and never alike."""

from __future__ import annotations

from pathlib import Path

from rexcli.plot.labels import run_labels
from tests.plot.fixtures import PENDULUM, FakeRun


def _runs(*changes: dict) -> list[FakeRun]:
    return [FakeRun(Path(f"/runs/{i}"), config={**PENDULUM, **change}) for i, change in enumerate(changes)]


def test_labels_are_the_keys_that_differ() -> None:
    runs = _runs({"ppo": {"lr": 1e-4}, "seed": 1}, {"ppo": {"lr": 3e-4}, "seed": 2})
    assert run_labels(runs) == ["ppo.lr=0.0001", "ppo.lr=0.0003"]


def test_the_seed_counts_only_where_nothing_else_differs() -> None:
    assert run_labels(_runs({"seed": 1}, {"seed": 2})) == ["seed=1", "seed=2"]


def test_runs_alike_are_told_by_their_folders_and_one_run_has_its_folders_name() -> None:
    assert run_labels(_runs({}, {})) == ["0", "1"]
    assert run_labels(_runs({})) == ["0"]
    twins = [FakeRun(Path("/a/same")), FakeRun(Path("/b/same"))]
    assert len(set(run_labels(twins))) == 2
