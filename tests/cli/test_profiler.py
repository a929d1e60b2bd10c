"""`--profile`: every moment counts once, slices lie within one another, and the command line is otherwise as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexcli.cli.main import main
from rexcli.cli.profiler import PACKAGE, StackSample, kind_of, split, table, trace
from rexcli.errors import RexError

NAMES = st.sampled_from("abc")
LOOKS = st.lists(st.tuples(st.floats(0.01, 1.0), st.lists(NAMES, max_size=3), NAMES), max_size=8)


@given(LOOKS, st.floats(0.01, 1.0))
def test_every_moment_is_in_the_table_once_and_slices_nest(steps, rest):
    moment, samples = 0.0, []
    for step, functions, kind in steps:
        moment += step
        samples.append(StackSample(moment, tuple(functions), kind))
    seconds = moment + rest
    *rows, whole = table(samples, seconds).rows
    assert whole[1] == round(seconds, 2)
    if samples:
        assert sum(float(row[1]) for row in rows) == pytest.approx(seconds, abs=0.006 * len(rows))
    events = trace(samples, seconds)["traceEvents"]
    ends: list[float] = []
    for event in events:
        while ends and ends[-1] <= event["ts"] + 1e-3:
            ends.pop()
        end = event["ts"] + event["dur"]
        assert event["ts"] >= 0
        assert end <= (ends[-1] if ends else seconds * 1e6) + 1e-3
        ends.append(end)
    assert sum(1 for event in events) <= sum(len(each.functions) + 1 for each in samples)


def test_a_stack_counts_as_its_innermost_work():
    job = [PACKAGE + "cli/record.py", "/site-packages/hydra/core/utils.py", PACKAGE + "cli/main.py"]
    assert kind_of(job) == "cli"
    assert kind_of(["/site-packages/omegaconf/base.py", *job]) == "compose (Hydra)"
    assert kind_of(["/site-packages/matplotlib/axes.py", PACKAGE + "plot/ages.py", *job]) == "draw (Matplotlib)"
    assert kind_of(["/site-packages/jax/_src/core.py", PACKAGE + "runtime/stepper.py", *job]) == "runtime, in JAX"
    assert (
        kind_of([PACKAGE + "rl/ppo.py", "/site-packages/jax/_src/interpreters/partial_eval.py", *job]) == "JAX: trace"
    )
    assert kind_of(["/site-packages/flax/core.py", "<frozen importlib._bootstrap>", *job]) == "import"
    assert kind_of(["/usr/lib/python3/threading.py"]) == "other"


def test_it_stands_anywhere_and_leaves_the_other_words(tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    for words in (["--profile", str(file), "ls"], ["ls", f"--profile={file}"]):
        assert split(words) == (["ls"], file)
    assert split(["ls", "--", "--profile"]) == (["ls", "--", "--profile"], None)
    for words in (["ls", "--profile"], ["ls", "--profile", "-q"], ["ls", f"--profile={tmp_path}"]):
        with pytest.raises(RexError, match="command line: --profile"):
            split(words)


def test_a_command_is_profiled_though_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["show", "conf=nowhere", "--profile", "trace.json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "where the time went" in said.err
    assert "nowhere" in said.err
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert all(event["ph"] == "X" for event in events)
