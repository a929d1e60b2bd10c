"""Trains many seeds: the loop around the compiled updates, on the host.

`rexcli.rl.seed_batch` has the seeds' states, and the program that moves them on.

Training knows an algorithm by the methods of `rexcli.rl.algorithm.Algorithm` alone. Another one, such as SAC, is a new
file beside `ppo.py` with a class that has these methods, and a YAML file beside `conf/ppo/default.yaml`. Its settings
become a section of `rexcli.config.schema.Experiment`, and `rexcli.pipeline.algorithm` chooses it where that is given.

A `ProcessGroup` of several processes shares the seeds. Process 0 runs `train`, all others `train_worker`: each trains
its own seeds, and after every evaluation process 0 has their states and metrics, and says whether training goes on. So
on CPU a seed's policy and its evaluations are the same, bit for bit, however many processes there are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError
from rexcli.rl.checkpoints import Checkpoint
from rexcli.rl.policy import Policy
from rexcli.rl.seed_batch import SeedBatch, TrainingSetup

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Progress:
    """How training stands after an evaluation.

    Attributes:
        evaluation: its number, from 1 to `evaluations`.
        evaluations: how many there will be.
        updates, timesteps: of each seed, so far.
        seconds: since training began, without compilation.
        metrics: by name, `[num_seeds]`: under `train/` means over the updates since the last evaluation, under
            `eval/` means over the evaluation's episodes.
    """

    evaluation: int
    evaluations: int
    updates: int
    timesteps: int
    seconds: float
    metrics: dict[str, Floats]


@dataclass
class Training:
    """What training gave.

    Attributes:
        policies: of each seed, as it was at the evaluation with the highest return.
        best_returns: mean return of that evaluation, `[num_seeds]`.
        history: one entry an evaluation.
        compile_seconds, train_seconds: wall clock.
        timesteps: of all seeds together.
        interrupted: whether it was ended early; it then has what was made until then.
        stopped_by: what ended it early: Ctrl-C, or SIGTERM.
        failed: by seed, the update that met a number that is not finite.
        failures: what was not finite first, a line for people: of the first seed that failed.
    """

    policies: list[Policy]
    best_returns: Floats
    history: list[Progress] = field(default_factory=list)
    compile_seconds: float = 0.0
    train_seconds: float = 0.0
    timesteps: int = 0
    interrupted: bool = False
    stopped_by: KeyboardInterrupt = field(default_factory=KeyboardInterrupt)
    failed: dict[int, int] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)

    @property
    def best(self) -> int:
        """The seed whose policy had the highest return."""
        return int(np.nanargmax(np.where(np.isneginf(self.best_returns), -np.finfo(np.float32).max, self.best_returns)))

    @property
    def policy(self) -> Policy:
        """The best seed's."""
        return self.policies[self.best]

    @property
    def steps_per_second(self) -> float:
        """Environment steps of all seeds, without compilation."""
        return self.timesteps / self.train_seconds if self.train_seconds else 0.0


def train(
    setup: TrainingSetup,
    *,
    on_compiled: Callable[[float], None] | None = None,
    on_evaluation: Callable[[Progress], None] | None = None,
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Training:
    """Trains all seeds; in a group of processes, leads it.

    Args:
        setup: of the training.
        on_compiled: is told the seconds that compilation took.
        on_evaluation: is told how training stands.
        on_checkpoint: after that, is given all that it takes to go on from there.
        stop: is asked after each evaluation whether training is to end there, as on Ctrl-C.

    Raises:
        RexError: where no seed gave finite numbers, or of another process.
    """
    began = time.perf_counter()
    batch = SeedBatch(setup)
    lowest = np.full(batch.num_seeds, -np.inf, np.float32)
    training = Training(batch.policies(), lowest, compile_seconds=time.perf_counter() - began)
    if on_compiled:
        on_compiled(training.compile_seconds)
    began = time.perf_counter()
    if setup.start is not None:
        began -= setup.start.seconds
        _restore(training, batch, setup.start)
    batch.scatter()
    try:
        for number, updates in setup.evaluations(batch.evaluation):
            metrics, stopped = batch.collect(batch.advance(updates))
            stopped |= stop is not None and stop()
            training.train_seconds = time.perf_counter() - began
            _keep_best(training, batch, metrics["eval/return_mean"])
            all_failed = len(training.failed) == batch.num_seeds
            if not all_failed:
                batch.announce(stopped)
            timesteps = updates * setup.algorithm.num_samples
            training.timesteps = timesteps * batch.num_seeds
            progress = Progress(number, setup.num_evaluations, updates, timesteps, training.train_seconds, metrics)
            training.history.append(progress)
            if on_evaluation:
                on_evaluation(progress)
            if on_checkpoint:
                on_checkpoint(batch.checkpoint(training.train_seconds, training.best_returns))
            if all_failed:
                seed = min(training.failed, key=training.failed.__getitem__)
                where = training.failures.get(seed) or batch.find_failure(seed)
                raise RexError(
                    "training met numbers that are not finite in every seed, first in update "
                    f"{training.failed[seed]}: {where}"
                )
            if training.failed and not training.failures:
                seed = min(training.failed, key=training.failed.__getitem__)
                training.failures[seed] = batch.find_failure(seed)
            if stopped:
                training.interrupted = True
                break
    except KeyboardInterrupt as error:
        setup.group.end(error)
        training.interrupted, training.stopped_by = True, error
    return training


def _restore(training: Training, batch: SeedBatch, start: Checkpoint) -> None:
    """Takes a training back to where a checkpoint was made."""
    batch.restore(start)
    training.best_returns = start.best_returns.copy()
    training.policies = batch.policies(best=True)
    training.timesteps = start.updates * batch.setup.algorithm.num_samples * batch.num_seeds
    training.train_seconds = start.seconds


def _keep_best(training: Training, batch: SeedBatch, returns: Floats) -> None:
    """Keeps what each seed has learned if its mean return, `[num_seeds]`, is its highest so far."""
    training.failed = batch.failed()
    for seed, value in enumerate(returns):
        if seed not in training.failed and value > training.best_returns[seed]:
            batch.keep(seed)
            training.policies[seed] = batch.policy(seed)
            training.best_returns[seed] = value


def train_worker(setup: TrainingSetup, *, stop: Callable[[], bool] | None = None) -> bool:
    """The part of a process that is not the first in a training which process 0 leads by `train`.

    Args:
        setup: the same in all processes, but for its devices and this process's place in the group.
        stop: as for `train`.

    Returns:
        Whether training was stopped early.
    """
    batch = SeedBatch(setup)
    batch.take_over()
    for _, updates in setup.evaluations(batch.evaluation):
        batch.report(batch.advance(updates), stop is not None and stop())
        if batch.is_told_to_stop():
            return True
    return False
