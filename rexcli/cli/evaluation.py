"""What `train` and `eval` share: a policy's episodes as numbers and as rollouts to look at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rexcli import pipeline
from rexcli.compiler.program import Program
from rexcli.compiler.rollouts import rollout_arrays
from rexcli.config.schema import Experiment
from rexcli.rl.environment import Environment
from rexcli.rl.evaluate import Evaluation
from rexcli.rl.policy import Policy

SHOWN = 50
"""Episodes that are kept whole, for pictures."""


def evaluation_values(evaluation: Evaluation) -> dict[str, Any]:
    """Means over episodes: what the task measures, return and length."""
    values: dict[str, Any] = {name: float(np.mean(each)) for name, each in evaluation.summary.items()}
    values["episodes"] = len(evaluation.returns)
    values["return mean"] = float(np.mean(evaluation.returns))
    values["return std"] = float(np.std(evaluation.returns))
    values["length mean"] = float(np.mean(evaluation.lengths))
    return values


def sample_rollouts(
    experiment: Experiment, program: Program, task: Environment, policy: Policy
) -> dict[str, np.ndarray]:
    """Some whole episodes of the evaluation's length under a policy, as in `rollouts.npz`."""
    steps = min(task.steps_in(experiment.eval.seconds), int(program.length.min()))
    shown = replace(experiment, rollout=replace(experiment.rollout, num=SHOWN, steps=steps))
    done = pipeline.rollout(shown, program, controller=policy.controller(task))
    return rollout_arrays(done, SHOWN)
