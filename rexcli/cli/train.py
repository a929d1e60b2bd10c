"""`rex train`: PPO on the environment, several seeds in parallel; keeps the best policy."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from rexcli import road
from rexcli.cli.console import Result, count
from rexcli.cli.evaluating import evaluation_values, sample_rollouts
from rexcli.cli.job import Job
from rexcli.cli.pictures import draw
from rexcli.compiler import backend
from rexcli.compiler.report import describe
from rexcli.rl.train import Progress
from rexcli.runs.rundir import Run
from rexcli.timeline.storage import to_arrays


class MetricsLog:
    """`metrics.csv`, appended after each evaluation, so that a killed run keeps it."""

    def __init__(self, run: Run):
        self._run = run
        self._path = run.path / "metrics.csv"
        self._names: list[str] = []

    def append(self, progress: Progress) -> None:
        """One row a seed."""
        rows: list[Sequence[Any]] = []
        if not self._names:
            self._names = sorted(progress.metrics)
            rows.append(["seed", "update", "total_steps", *self._names])
        num_seeds = len(next(iter(progress.metrics.values())))
        for seed in range(num_seeds):
            metrics = [repr(float(progress.metrics[name][seed])) for name in self._names]
            rows.append([seed, progress.updates, progress.timesteps, *metrics])
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(text.getvalue())
        self._run.register("metrics.csv")


def train(job: Job) -> Result:
    """Writes `metrics.csv`, `policy/` (the best seed's) and `policies/` (every seed's), and evaluates the best."""
    experiment = job.experiment
    backend.prepare(experiment.compile.devices)
    system = job.system()
    task = road.environment(experiment, system)
    timeline, parents = road.timeline_for(experiment, system, job.project)
    program = road.compile(experiment, system, timeline, road.saved_plan(experiment, timeline, job.project))
    road.check_training(experiment, program, task)
    assert program.plan is not None
    with job.new_run(parents) as run:
        run.write_arrays("timeline.npz", to_arrays(timeline))
        run.write_json("program.json", describe(program.plan))
        log = MetricsLog(run)
        settings = experiment.ppo
        with job.console.progress("train", settings.total_timesteps * settings.num_seeds, "steps") as bar:

            def on_compiled(seconds: float) -> None:
                job.console.note(f"compiled in {seconds:.1f} s")

            def on_evaluation(progress: Progress) -> None:
                log.append(progress)
                bar.update(progress.timesteps * settings.num_seeds, _standing(progress))

            training = road.train(experiment, program, task, on_compiled=on_compiled, on_evaluation=on_evaluation)
        recipe = {"_target_": experiment.env.target, **experiment.env.options} if experiment.env else {}
        for seed, policy in enumerate(training.policies):
            policy.save(run.path / "policies" / str(seed), recipe)
        training.policy.save(run.path / "policy", recipe)
        run.register("policies")
        run.register("policy")
        for seed, update in training.failed.items():
            job.console.warn(
                f"seed {seed} met a number that is not finite in update {update}; its last good policy is kept"
            )
        values: dict[str, Any] = {
            "steps": training.timesteps,
            "compile s": training.compile_seconds,
            "train s": training.train_seconds,
            "steps/s": training.steps_per_second,
            "best seed": training.best,
            "return of each seed": [round(float(value), 2) for value in training.best_returns],
        }
        if training.interrupted:
            draw(run, values, system)
            job.console.note(f"interrupted; what was trained so far is kept in {run.path}")
            raise KeyboardInterrupt
        evaluation = road.evaluate(experiment, program, task, training.policy)
        values |= evaluation_values(evaluation)
        run.write_arrays("rollouts.npz", sample_rollouts(experiment, program, task, training.policy))
        draw(run, values, system)
    objective = float(np.mean(evaluation.returns))
    return Result(values=values, path=run.path, objective=objective)


def _standing(progress: Progress) -> str:
    """The seeds' returns and, where the task has them, their hold, and KL."""
    parts = []
    for name, label in (("eval/return_mean", "return"), ("eval/hold", "hold"), ("train/kl", "kl")):
        if name in progress.metrics:
            numbers = " ".join(f"{value:.3g}" for value in progress.metrics[name])
            parts.append(f"{label} {numbers}")
    return f"{count(progress.timesteps)} steps a seed; " + "; ".join(parts)
