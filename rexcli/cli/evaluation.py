"""Evaluates a policy for `train` and `eval`: as numbers, and as rollouts for pictures."""

from __future__ import annotations

from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from threading import Thread
from typing import Any

import numpy as np

from rexcli import pipeline
from rexcli.compiler import backend
from rexcli.compiler.program import Controller, Program
from rexcli.compiler.rollouts import CompiledRollouts, rollout_arrays
from rexcli.config.schema import Experiment
from rexcli.rl.environment import Environment
from rexcli.rl.evaluate import Evaluation
from rexcli.rl.policy import Actor

SHOWN = 50
"""Number of episodes that are kept whole, for pictures."""

KNOWN = "rollouts to look at"
"""The key under which `evaluate_and_sample` keeps the rollouts that it compiled last."""
COMING = "evaluation to come"
"""The key under which `prepare` keeps the thread that compiles."""


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


def prepare(
    experiment: Experiment, program: Program, task: Environment, policy: Actor, known: MutableMapping[str, Any]
) -> None:
    """Begins to compile, in a thread beside the training, what `evaluate_and_sample` will run; on CPU only.

    Args:
        experiment, program, task: as for `evaluate_and_sample`.
        policy: a policy of the same structure.
        known: what `evaluate_and_sample` will be given. If something is being compiled for it already, nothing begins.
    """

    def compile() -> None:
        with suppress(Exception):  # the evaluation raises it again
            _compile_shown(_shown(experiment, program, task), program, policy.controller(task), known)
            pipeline.compile_evaluation(experiment, program, task, policy)

    if COMING not in known and backend.compiles_beside():
        known[COMING] = thread = Thread(target=compile, daemon=True)
        thread.start()


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
    `known`, or `prepare` has begun to compile them.
    """
    known = {} if known is None else known
    if COMING in known:
        known.pop(COMING).join()
    pipeline.check_evaluation(experiment, program, task)
    shown, controller = _shown(experiment, program, task), policy.controller(task)
    compiled = _compile_shown(shown, program, controller, known)
    evaluation = pipeline.evaluate(experiment, program, task, policy)
    done = pipeline.rollout(shown, program, controller=controller, compiled=compiled)
    return evaluation, rollout_arrays(done, SHOWN), done.nan


def _shown(experiment: Experiment, program: Program, task: Environment) -> Experiment:
    """Returns the experiment whose rollouts are kept whole."""
    steps = min(task.steps_in(experiment.eval.seconds), int(program.length.min()))
    return replace(experiment, rollout=replace(experiment.rollout, num=SHOWN, steps=steps))


def _compile_shown(
    shown: Experiment, program: Program, controller: Controller, known: MutableMapping[str, Any]
) -> CompiledRollouts:
    beside = ThreadPoolExecutor(1)
    compiled = pipeline.compile_rollout(shown, program, controller=controller, beside=beside, like=known.get(KNOWN))
    beside.shutdown(wait=False)
    known[KNOWN] = compiled
    return compiled
