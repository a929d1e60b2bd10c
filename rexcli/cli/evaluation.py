"""Evaluates a policy for `train` and `eval`: as numbers, and as rollouts for pictures."""

from __future__ import annotations

from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from rexcli import pipeline
from rexcli.compiler.program import Program
from rexcli.compiler.rollouts import rollout_arrays
from rexcli.config.schema import Experiment
from rexcli.rl.environment import Environment
from rexcli.rl.evaluate import Evaluation
from rexcli.rl.policy import Actor

SHOWN = 50
"""Number of episodes that are kept whole, for pictures."""

KNOWN = "rollouts to look at"
"""The key under which `evaluate_and_sample` keeps the rollouts that it compiled last."""


def evaluation_values(evaluation: Evaluation) -> dict[str, Any]:
    """Returns means over episodes: the task's measurements, return and length."""
    values: dict[str, Any] = {name: float(np.mean(each)) for name, each in evaluation.summary.items()}
    values["episodes"] = len(evaluation.returns)
    values["return mean"] = float(np.mean(evaluation.returns))
    values["return std"] = float(np.std(evaluation.returns))
    values["length mean"] = float(np.mean(evaluation.lengths))
    return values


def evaluation_warnings(evaluation: Evaluation, nan: str | None) -> list[str]:
    """Returns warnings about NaN in the returns of an evaluation; `nan` as `evaluate_and_sample` returns it."""
    struck = int(np.isnan(evaluation.returns).sum())
    if not struck:
        return []
    where = "none of the rollouts that were kept has any" if nan is None else nan
    return [f"{struck} of {len(evaluation.returns)} episodes have a return that is NaN; {where}"]


def evaluate_and_sample(
    experiment: Experiment,
    program: Program,
    task: Environment,
    policy: Actor,
    known: MutableMapping[str, Any] | None = None,
) -> tuple[Evaluation, dict[str, np.ndarray], str | None]:
    """Evaluates a policy; returns the evaluation, whole episodes as in `rollouts.npz`, and where these have NaN.

    The rollouts go on after the task has terminated, so that NaN in them alone means little. XLA compiles them in
    another thread while the evaluation is traced, compiled and run, unless compiled ones with the same code are in
    `known`.
    """
    pipeline.check_evaluation(experiment, program, task)
    steps = min(task.steps_in(experiment.eval.seconds), int(program.length.min()))
    shown = replace(experiment, rollout=replace(experiment.rollout, num=SHOWN, steps=steps))
    controller = policy.controller(task)
    beside = ThreadPoolExecutor(1)
    try:
        known = {} if known is None else known
        compiled = known[KNOWN] = pipeline.compile_rollout(
            shown, program, controller=controller, beside=beside, like=known.get(KNOWN)
        )
        evaluation = pipeline.evaluate(experiment, program, task, policy)
        done = pipeline.rollout(shown, program, controller=controller, compiled=compiled)
    finally:
        beside.shutdown(wait=False, cancel_futures=True)
    return evaluation, rollout_arrays(done, SHOWN), done.nan
