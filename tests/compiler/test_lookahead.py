"""`compile.ahead`: how far before its start a step may run, from the command line to the plan."""

from __future__ import annotations

import numpy as np
import pytest

from rexcli import pipeline
from rexcli.cli.main import main
from rexcli.compiler.plan import make_plan
from rexcli.compiler.plan_arrays import plan_from_arrays, plan_to_arrays
from rexcli.compiler.report import describe
from rexcli.errors import RexError
from rexcli.runs.view import find_run
from rexcli.timeline.spec import EdgeTiming, NodeTiming, SystemTiming
from rexcli.timeline.timeline import Messages, Steps, Timeline
from tests.compiler.timelines import MS, by_hand, slots


def burst() -> Timeline:
    """Node `a` starts at 1, 22 and 24 ms; the supervisor `s`, at 10, 20 and 30 ms, reads the first, none, and both."""
    starts = {"a": np.array([[1, 22, 24]], np.int64) * MS, "s": np.array([[10, 20, 30]], np.int64) * MS}
    steps = {name: Steps(start, start, np.array([3])) for name, start in starts.items()}
    spec = SystemTiming(tuple(NodeTiming(name, 100.0) for name in starts), (EdgeTiming("a_s", "a", "s"),), "s")
    return Timeline(spec, steps, {"a_s": Messages(starts["a"], np.array([[0, 2, 2]]))})


def test_a_burst_takes_fewer_slots_if_part_of_it_runs_ahead():
    strict, ahead = make_plan(burst()), make_plan(burst(), lookahead=1)
    assert strict.template == ("a", "a", "s")
    assert ahead.template == ("a", "s")
    # The step at 22 ms runs between s0 and s1, at 10 and 20 ms.
    np.testing.assert_array_equal(slots(ahead)[0].tick, [[0, 1, 2, -1]])
    np.testing.assert_array_equal(slots(ahead)[1].inputs[0].newest, slots(strict)[2].inputs[0].newest)


def test_nothing_runs_further_ahead_than_allowed():
    # With two steps of freedom a1 may precede s0, but one slot is enough.
    assert make_plan(burst(), lookahead=2).template == ("a", "s")
    assert make_plan(burst(), lookahead=0).before["a"].tolist() == [[0, 1, 1, 3]]
    assert make_plan(burst(), lookahead=1).before["a"].tolist() == [[0, 1, 2, 3]]


def test_the_report_and_the_saved_plan_say_it():
    plan = make_plan(burst(), lookahead=1)
    assert describe(plan)["ahead"] == 1
    assert describe(plan_from_arrays(plan_to_arrays(plan), burst())) == describe(plan)


def test_a_negative_value_is_refused():
    with pytest.raises(RexError, match=r"compile\.ahead=-1: give 0 or more supervisor steps"):
        make_plan(by_hand(), lookahead=-1)
    with pytest.raises(RexError, match=r"command line: compile\.ahead=-1: give 0 or more supervisor steps"):
        pipeline.compose("pendulum", "compile.ahead=-1")
    with pytest.raises(RexError, match=r"compile\.ahead=0\.5.*whole number"):
        pipeline.compose("pendulum", "compile.ahead=0.5")


def test_the_key_reaches_the_plan():
    for words, ahead in (((), 0), (("compile.ahead=2",), 2)):
        experiment = pipeline.compose("pendulum", "timeline.steps=5", "timeline.episodes=1", *words)
        system = pipeline.build(experiment)
        timeline, _ = pipeline.timeline_for(experiment, system)
        assert pipeline.compile(experiment, system, timeline).plan.lookahead == ahead


@pytest.mark.slow
def test_a_plan_that_ran_otherwise_ahead_is_not_used_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["init", ".", "--example", "pendulum", "--quiet"]) == 0
    assert main(["compile", "timeline.steps=5", "timeline.episodes=1", "compile.ahead=1", "--quiet"]) == 0
    run = find_run("latest:compile", tmp_path / "outputs")
    assert run.json("program.json")["ahead"] == 1
    for ahead in (0, 1):
        experiment = pipeline.compose("pendulum", f"from={run.path}", f"compile.ahead={ahead}")
        timeline, _ = pipeline.timeline_for(experiment, pipeline.build(experiment))
        saved = pipeline.saved_plan(experiment, timeline)
        assert (saved is None) == (ahead != 1)
