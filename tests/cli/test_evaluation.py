"""What is said of a policy's episodes."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from rexcli import pipeline
from rexcli.cli.evaluation import COMING, evaluate_and_sample, evaluation_values, evaluation_warnings, prepare
from rexcli.config.compose import compose
from rexcli.errors import RexError
from rexcli.rl.evaluate import Evaluation

RETURNS = np.array([1.0, 2.0, 6.0], np.float32)


def evaluated(returns: np.ndarray) -> Evaluation:
    hold = np.array([0.5, 1.0, 0.0], np.float32)
    return Evaluation(returns=returns, lengths=np.array([10, 20, 60]), summary={"hold": hold})  # type: ignore[arg-type]


def test_numbers_are_over_episodes_and_plain() -> None:
    values = evaluation_values(evaluated(RETURNS))
    assert values == pytest.approx(
        {"hold": 0.5, "episodes": 3, "return mean": 3.0, "return std": np.std(RETURNS), "length mean": 30.0}
    )
    assert {type(value) for value in values.values()} == {int, float}


def test_returns_that_are_nan_are_counted_and_where_it_began_is_named() -> None:
    assert evaluation_warnings(evaluated(RETURNS), "of the sample rollouts") == []
    struck = evaluated(np.where(RETURNS > 1, np.nan, RETURNS))
    [warning] = evaluation_warnings(struck, "node 'tank': state.level is NaN")
    assert warning == "2 of 3 episodes have a return that is NaN; node 'tank': state.level is NaN"
    [warning] = evaluation_warnings(struck, None)
    assert warning.endswith("none of the rollouts that were kept has any")


@pytest.mark.slow
def test_what_was_compiled_beside_a_training_is_what_is_run() -> None:
    declared = compose("pendulum", ["eval.episodes=4", "eval.seconds=1.2", "timeline.steps=60"])
    system = pipeline.build(declared)
    task = pipeline.environment(declared, system)
    program = pipeline.compile(declared, system, pipeline.timeline_for(declared, system)[0], task=task)
    algorithm = pipeline.algorithm(declared, task)
    states = jax.jit(jax.vmap(algorithm.init, (None, 0)))(program, jax.random.split(jax.random.key(0), 2))
    first, second = (algorithm.policy(jax.tree.map(lambda leaf, n=n: leaf[n], states).learned) for n in (0, 1))
    known: dict[str, Any] = {}
    prepare(declared, program, task, first, known)
    thread = known[COMING]
    prepare(declared, program, task, second, known)
    assert known[COMING] is thread, "one of them is enough"
    thread.join()
    evaluation, rollouts, _ = evaluate_and_sample(declared, program, task, first, {})
    compiled: list[str] = []
    listen = jax.monitoring.register_event_duration_secs_listener
    listen(lambda event, _, fun_name="", **__: compiled.append(fun_name) if "backend_compile" in event else None)
    prepared = evaluate_and_sample(declared, program, task, second, known)
    assert not {name for name in compiled if "of_task" in name or "batches" in name}, compiled
    assert COMING not in known
    jax.clear_caches()
    alone = evaluate_and_sample(declared, program, task, second)
    assert {name for name in compiled if "of_task" in name or "batches" in name}, "so it would have been noticed"
    for one, other in zip(jax.tree.leaves(prepared[:2]), jax.tree.leaves(alone[:2]), strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.any(np.asarray(evaluation.returns) != np.asarray(alone[0].returns))
    assert rollouts.keys() == alone[1].keys()


def test_an_error_beside_a_training_is_left_to_the_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RexError("too long")

    monkeypatch.setattr("rexcli.cli.evaluation._shown", refuse)
    monkeypatch.setattr(pipeline, "check_evaluation", refuse)
    known: dict[str, Any] = {}
    prepare(None, None, None, None, known)  # type: ignore[arg-type]
    with pytest.raises(RexError, match="too long"):
        evaluate_and_sample(None, None, None, None, known)  # type: ignore[arg-type]


def test_nothing_is_compiled_beside_a_training_on_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jax.default_backend", lambda: "gpu")
    known: dict[str, Any] = {}
    prepare(None, None, None, None, known)  # type: ignore[arg-type]
    assert known == {}
