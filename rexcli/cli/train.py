"""Implements `rex train`: trains PPO on the environment with several seeds in parallel, and keeps the best policy.

Everything but the training itself is in the generator `stages`. A sweep may run it for several jobs at once and train
what they yield side by side, see `rexcli.sweep.side_by_side`.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rexcli import pipeline, signals
from rexcli.cli.evaluation import evaluate_and_sample, evaluation_values, evaluation_warnings
from rexcli.cli.job import Job
from rexcli.cli.node_files import keep_files, refuse_changed
from rexcli.cli.process_group import broadcast, stop_requests, train_worker, without_group
from rexcli.cli.results import draw, drawing, finish
from rexcli.compiler import backend
from rexcli.compiler.plan_arrays import plan_to_arrays
from rexcli.compiler.program import Program
from rexcli.compiler.report import describe
from rexcli.config.build import build_loggers
from rexcli.config.compose import experiment_from_config, plain_config
from rexcli.config.schema import Experiment
from rexcli.errors import RexError
from rexcli.rl import checkpoints
from rexcli.rl.checkpoints import Checkpoint
from rexcli.rl.distributed import join
from rexcli.rl.environment import Environment
from rexcli.rl.loggers import LoggedRun, Logger, Loggers
from rexcli.rl.policy import Policy
from rexcli.rl.ppo import NUMBERS
from rexcli.rl.process_group import ALONE, ProcessGroup
from rexcli.rl.shared_code import code_of
from rexcli.rl.train import Progress, Stages, Training, TrainingRequest, run_stages
from rexcli.rl.training_setup import TrainingSetup
from rexcli.runs.result import Result
from rexcli.runs.rundir import Run
from rexcli.runs.view import RunView, find_run
from rexcli.system.system import System
from rexcli.timeline.arrays import to_arrays
from rexcli.timeline.timeline import Timeline

DECLARED = ("params", "delay", "expected_delay")
"""Keys of a node or edge whose numbers are arguments of a compiled program, by themselves or through its timelines."""


@dataclass(frozen=True)
class Stopped:
    """A training to resume: its run, its own experiment, and its last checkpoint (None before the first)."""

    view: RunView
    experiment: Experiment
    checkpoint: Checkpoint | None


def train(job: Job) -> Result:
    """Trains; writes `metrics.csv`, `checkpoints/`, `policy/` (the best seed's), `policies/`, and evaluates the best.

    Of several processes, only process 0 writes a run; the others train their seeds.
    """
    declared = job.experiment
    if declared.distributed.coordinator is not None:
        backend.prepare(declared.compile.devices)
    with join(declared.distributed, declared.ppo.num_seeds if declared.resume is None else None) as group:
        return run_stages(stages(job, group)) if group.index == 0 else train_worker(job, group)


def stages(job: Job, group: ProcessGroup = ALONE, known: MutableMapping[str, Any] | None = None) -> Stages[Result]:
    """Runs the training in process 0, or in the only process.

    Args:
        job: the training.
        group: the processes that share its seeds.
        known: results of earlier jobs that are trained side by side and may share them.
    """
    stopped = None if job.experiment.resume is None else find_stopped(job)
    if stopped is not None:
        job = replace(job, experiment=replace(stopped.experiment, distributed=job.experiment.distributed))
    experiment = job.experiment
    backend.prepare(experiment.compile.devices)
    loggers = build_loggers(experiment, job.project)
    inputs = _training_inputs(job, stopped, {} if known is None else known)
    system, task, timeline, program = inputs.system, inputs.task, inputs.timeline, inputs.program
    start = None if stopped is None else stopped.checkpoint
    setup = pipeline.training_setup(experiment, program, task, inputs.on_the_way, group=group, start=start)
    assert program.plan is not None
    broadcast(group, experiment, stopped is not None, timeline, program.plan)
    with (
        without_group(job).new_run(inputs.parents)
        if stopped is None
        else Run.reopen(stopped.view.path, argv=job.argv) as run
    ):
        keep_files(run, system)
        run.write_arrays("timeline.npz", to_arrays(timeline))
        run.write_arrays("plan.npz", plan_to_arrays(program.plan))
        run.write_json("program.json", describe(program.plan))
        training = yield from _train(job, run, setup, loggers)
        group.leave()
        run.register("checkpoints")
        recipe = {"_target_": experiment.env.target, **experiment.env.options} if experiment.env else {}
        _save_policies(run, training, recipe)
        for seed, update in training.failed.items():
            where = f": {training.failures[seed]}" if seed in training.failures else ""
            job.console.warn(
                f"seed {seed} met a number that is not finite in update {update}, and its best policy is kept{where}"
            )
        values = _values(training, group)
        if training.interrupted:
            draw(run, values, system, job.project)
            job.console.note(f"interrupted; go on with: rex train resume={run.path}")
            raise training.stopped_by
        with job.console.stage("evaluate"):
            evaluation, rollouts, nan = evaluate_and_sample(experiment, inputs.final, task, training.policy, known)
            values |= evaluation_values(evaluation)
            run.write_arrays("rollouts.npz", rollouts)
        objective = float(np.mean(evaluation.returns))
        warnings = evaluation_warnings(evaluation, nan)
        result = Result(values=values, path=run.path, objective=objective, warnings=warnings)
        if known is None:
            return finish(job, run, result, system)
        with job.console.stage("draw"):
            if (yield drawing(run, values, system, job.project)):
                run.register("plots")
        return result


@dataclass(frozen=True)
class _TrainingInputs:
    """What a training is based on: the system, its task, and the programs for training and evaluation."""

    system: System
    task: Environment
    timeline: Timeline
    parents: list[Path]
    program: Program
    on_the_way: Program
    final: Program

    @cached_property
    def code(self) -> str:
        """What the task and the nodes compute, as an identifier of their code."""
        return code_of(self.task, self.program)


def _training_inputs(job: Job, stopped: Stopped | None, known: MutableMapping[str, Any]) -> _TrainingInputs:
    """Builds what a training is based on, or takes it from an earlier one in `known` that was made from the same.

    It does not depend on numbers of PPO, nor the system on the seed. If an earlier one differs only in numbers that
    nodes and edges declare and its code is the same, its compiled code is shared.
    """
    experiment = job.experiment
    plain = plain_config(experiment)
    plain["ppo"] = {key: value for key, value in plain["ppo"].items() if key not in NUMBERS}
    kept = {} if stopped is None else {each["name"]: each["sha256"] for each in stopped.view.artifacts}
    whole = repr((plain, kept.get("timeline.npz"), kept.get("plan.npz")))
    bare = repr({**plain, "seed": None})
    if bare not in known:
        system = job.system()
        known[bare] = system, pipeline.environment(experiment, system)
    system, task = known[bare]
    if stopped is not None:
        refuse_changed(stopped.view, system)
    if whole in known:
        inputs: _TrainingInputs = known[whole]
        return inputs
    parents: list[Path] = []
    if stopped is not None and stopped.view.has("plan.npz"):
        timeline = stopped.view.timeline()
        program = pipeline.compile(experiment, system, timeline, stopped.view.plan(timeline))
    else:
        with job.console.stage("simulate"):
            timeline, parents = pipeline.timeline_for(experiment, system, job.project, task=task)
        with job.console.stage("plan"):
            saved = pipeline.saved_plan(experiment, timeline, job.project, observed=task.observed)
            program = pipeline.compile(experiment, system, timeline, saved, task=task)
    with job.console.stage("plan evaluations"):
        on_the_way = pipeline.evaluation_program(experiment, program, task, training=True)
        final = pipeline.evaluation_program(experiment, program, task)
    inputs = _TrainingInputs(system, task, timeline, parents, program, on_the_way, final)
    known[whole] = inputs = _sharing_code(inputs, known, repr(_without_numbers(plain)))
    return inputs


def _without_numbers(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a plain configuration without its seed and the numbers that its nodes and edges declare."""

    def rest(section: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        return {name: {key: entry[key] for key in entry if key not in DECLARED} for name, entry in section.items()}

    return {**plain, "seed": None, "nodes": rest(plain["nodes"]), "edges": rest(plain["edges"])}


def _sharing_code(inputs: _TrainingInputs, known: MutableMapping[str, Any], kind: str) -> _TrainingInputs:
    """Returns `inputs`, sharing the programs' system and task with an earlier one that has the same code.

    The programs are then compiled once for both.
    """
    earlier: list[_TrainingInputs] = known.setdefault(kind, [])
    if any(other.system is inputs.system for other in earlier):
        return inputs
    for other in earlier:
        if other.code == inputs.code:
            programs = (each.on(other.system) for each in (inputs.program, inputs.on_the_way, inputs.final))
            return _TrainingInputs(inputs.system, other.task, inputs.timeline, inputs.parents, *programs)
    earlier.append(inputs)
    return inputs


def _train(job: Job, run: Run, setup: TrainingSetup, chosen: Mapping[str, Logger]) -> Stages[Training]:
    """Trains; shows the progress, logs each evaluation, and writes each checkpoint to disk."""
    metrics = list(setup.algorithm.environment.metrics)
    seeds = job.experiment.ppo.num_seeds
    updates = 0 if setup.start is None else setup.start.updates
    timesteps = updates * setup.algorithm.num_samples
    logged = LoggedRun(run.path, job.experiment.name, seeds, plain_config(job.experiment), updates, timesteps)
    with (
        Loggers(logged, chosen, register=run.register, note=job.console.note, warn=job.console.warn) as log,
        job.console.training(job.experiment.ppo.total_timesteps * seeds) as bar,
        stop_requests(setup.group, job.console) as stop,
    ):

        def on_evaluation(progress: Progress) -> None:
            log.log(progress)
            bar.evaluated(progress.timesteps * seeds, _standing(progress, metrics))

        def on_checkpoint(checkpoint: Checkpoint) -> None:
            with signals.deferred():  # Orbax prints much when it is interrupted
                checkpoints.save(run.path / "checkpoints", checkpoint)

        def on_compiled(seconds: float) -> None:
            job.console.note(f"compile: {seconds:.1f} s")
            bar.begin(timesteps * seeds)

        training: Training = yield TrainingRequest(setup, on_compiled, on_evaluation, on_checkpoint, stop)
        log.finish("interrupted" if training.interrupted else "done")
        return training


def _values(training: Training, group: ProcessGroup) -> dict[str, Any]:
    """Returns the results of a training before its policy is evaluated."""
    return {
        "steps": training.timesteps,
        "compile s": training.compile_seconds,
        "train s": training.train_seconds,
        "steps/s": training.steps_per_second,
        "best seed": training.best,
        **({"processes": group.count} if group.count > 1 else {}),
        "return of each seed": [round(float(value), 2) for value in training.best_returns],
    }


def find_stopped(job: Job) -> Stopped:
    """Returns the training of `resume=RUN`, with the experiment that it began with.

    Raises:
        RexError: there is none, it is done or still running, or there are other overrides beside it.
    """
    text = job.experiment.resume
    assert text is not None
    view = find_run(text, job.project.outputs)
    if view.command != "train":
        raise RexError(f"resume={text}: this is a run of `rex {view.command}`; give one of `rex train`")
    if view.status in ("done", "running"):
        state = "done; start a new one" if view.status == "done" else "still running; stop it first"
        raise RexError(f"resume={text}: {view.path} is {state}")
    own = ("resume=", "trusted_targets=", "distributed.")
    others = [word for word in job.argv[2:] if "=" in word and not word.startswith("-") and not word.startswith(own)]
    if others:
        raise RexError(f"resume={text}: it goes on with its own configuration; leave out {' '.join(others)}")
    trusted = [word for word in job.argv if word.startswith("trusted_targets=")]
    experiment = experiment_from_config(view.config, str(view.path / "config.yaml"), trusted)
    return Stopped(view, experiment, checkpoints.load_latest(view.path / "checkpoints"))


def _save_policies(run: Run, training: Training, recipe: dict[str, Any]) -> None:
    named: list[tuple[str, Policy]] = [(f"policies/{seed}", policy) for seed, policy in enumerate(training.policies)]
    for name, policy in [*named, ("policy", training.policy)]:
        policy.save(run.path / name, recipe)
        run.register(name)


def _standing(progress: Progress, metrics: Sequence[str]) -> dict[str, list[float]]:
    """Returns, for each seed by label, the return, the first metric that the experiment chose, and KL."""
    labels = {"return": "eval/return_mean", **{name: f"eval/{name}" for name in metrics[:1]}, "kl": "train/kl"}
    return {label: [float(value) for value in progress.metrics[name]] for label, name in labels.items()}
