"""What a run has found takes the place of what is declared, and of nothing else."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from rexcli.config.key_origins import Origins
from rexcli.config.measured import DELAYS, PARAMS, runs_of, take_measured
from rexcli.errors import RexError

CONFIG = {
    "nodes": {"eye": {"delay": 0.1, "rate": 20, "params": {"gain": 1.0, "lens": {"width": 2.0}}}, "brain": {}},
    "edges": {"eye_brain": {"delay": 0.2, "window": 3}},
}
NORMAL = {"_target_": "rexcli.TruncatedNormal", "loc": 0.01, "scale": 0.002}


def test_what_was_found_is_declared_and_all_else_stays() -> None:
    before = copy.deepcopy(CONFIG)
    found = {"nodes": {"eye": {"delay": NORMAL}, "stranger": {"delay": 1.0}}, "edges": {"eye_brain": {"loss": 0.1}}}
    changed = DELAYS.declare(CONFIG, found, "here")
    assert changed["nodes"]["eye"] == {**CONFIG["nodes"]["eye"], "delay": NORMAL}
    assert changed["edges"]["eye_brain"] == {"delay": 0.2, "window": 3, "loss": 0.1}
    assert list(changed["nodes"]) == ["eye", "brain"]
    assert before == CONFIG


def test_parameters_are_taken_one_by_one_and_what_was_typed_stays() -> None:
    found = {"nodes": {"eye": {"params": {"gain": 5.0, "lens": {"width": 6.0, "depth": 7.0}}}}}
    changed = PARAMS.declare(CONFIG, found, "here", "nodes.eye.params.lens.width".__eq__)
    assert changed["nodes"]["eye"]["params"] == {"gain": 5.0, "lens": {"width": 2.0, "depth": 7.0}}


def test_a_run_that_found_nothing_of_this_experiment_is_refused() -> None:
    with pytest.raises(
        RexError, match="here: its delays are of stranger; this experiment has no node or edge of these"
    ):
        DELAYS.declare(CONFIG, {"nodes": {"stranger": {"delay": 1.0}}}, "here")


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("delays.yaml", "[1]", "it holds something else than nodes and edges"),
        ("delays.yaml", "{supervisor: eye}", "it holds something else than nodes and edges"),
        ("delays.yaml", "{nodes: {eye: {rate: 5}}}", "nodes.eye holds something else than delay"),
        ("delays.yaml", "{nodes: {eye: {delay: {_target_: os.system}}}}", "os.system is no delay or loss of rexcli"),
        ("delays.yaml", "{nodes: {eye: {delay: true}}}", "nodes.eye.delay: True is no number"),
        ("delays.yaml", "{edges: {eye_brain: {reorder: 1}}}", "edges.eye_brain.reorder: 1 is neither true nor false"),
        ("params.yaml", "{nodes: {eye: {params: {gain: much}}}}", "nodes.eye.params.gain: 'much' is no number"),
    ],
)
def test_what_a_stranger_wrote_into_a_run_is_refused(tmp_path: Path, file: str, text: str, said: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    (tmp_path / "run" / file).write_text(text)
    plain: dict[str, Any] = {**copy.deepcopy(CONFIG), file.partition(".")[0]: str(tmp_path / "run")}
    with pytest.raises(RexError, match=said):
        take_measured(plain, tmp_path, Origins())


def test_a_key_names_no_run_or_one_or_several() -> None:
    assert [runs_of(given) for given in (None, "a", ["a", "b"])] == [[], ["a"], ["a", "b"]]
