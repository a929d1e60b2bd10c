"""Trains many seeds: the loop around the compiled updates, on the host.

`rexcli.rl.seed_batch` holds the seeds' states, and the program that trains them. Several trainings that share a program
may run together (`train_together`), each with its own callbacks, as with `launcher=vmap`.

Training only uses the methods of `rexcli.rl.algorithm.Algorithm`. Another algorithm, such as SAC, is a new file next to
`ppo.py` with a class that has these methods, and a YAML file next to `conf/ppo/default.yaml`. Its settings become a
section of `rexcli.config.schema.Experiment`, and `rexcli.pipeline.algorithm` chooses it if that is given. Where the
section `ppo` is read for numbers of seeds, steps and evaluations, and for the keys that a shared program takes as
arguments (`NUMBERS`), it takes its place: in `rexcli.cli.train`, `rexcli.timelines` and `rexcli.sweep.side_by_side`.

A `ProcessGroup` of several processes shares the seeds. Process 0 runs `train`, all others `train_worker`: each trains
its own seeds, and after every evaluation process 0 gets their states and metrics, and decides whether training
continues. So on CPU a seed's policy and its evaluations are the same, bit for bit, for any number of processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError
from rexcli.machine import collecting_rarely
from rexcli.rl.checkpoints import Checkpoint
from rexcli.rl.policy import Policy
from rexcli.rl.seed_batch import SeedBatch
from rexcli.rl.seed_program import SeedProgram
from rexcli.rl.training_setup import TrainingSetup

Floats = npt.NDArray[np.float32]
T = TypeVar("T")


@dataclass(frozen=True)
class Progress:
    """The progress of a training after an evaluation.

    Attributes:
        evaluation: the number of the evaluation, from 1 to `evaluations`.
        evaluations: the number of all evaluations.
        updates, timesteps: updates and environment steps of each seed so far.
        seconds: seconds since training began, without compilation.
        metrics: metrics by name, `[num_seeds]`: under `train/` means over the updates since the last evaluation, under
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
    """The result of a training.

    Attributes:
        policies: the policy of each seed at the evaluation with the highest return.
        best_returns: mean return of that evaluation, `[num_seeds]`.
        history: one entry per evaluation.
        compile_seconds, train_seconds: wall time.
        timesteps: environment steps of all seeds together.
        interrupted: whether it was ended early; then it has the results up to then.
        stopped_by: what ended it early: Ctrl-C, or SIGTERM.
        failed: the update that met a number that is not finite, by seed.
        failures: a message that says what was not finite first, for the first seed that failed.
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
        """The policy of the best seed."""
        return self.policies[self.best]

    @property
    def steps_per_second(self) -> float:
        """Environment steps of all seeds per second, without compilation."""
        return self.timesteps / self.train_seconds if self.train_seconds else 0.0


@dataclass(frozen=True)
class TrainingRequest:
    """A training to run, and its callbacks.

    Attributes:
        setup: the setup of the training.
        on_compiled: called with the seconds that compilation took.
        on_evaluation: called with the progress after each evaluation.
        on_checkpoint: called after that, with a checkpoint from which the training can be resumed.
        stop: called after each evaluation; returns whether training is to end there, as on Ctrl-C.
    """

    setup: TrainingSetup
    on_compiled: Callable[[float], None] | None = None
    on_evaluation: Callable[[Progress], None] | None = None
    on_checkpoint: Callable[[Checkpoint], None] | None = None
    stop: Callable[[], bool] | None = None


Outcome = Training | BaseException
"""The result of a request: that of the training, or the error that it raised."""
Apart = partial[Any]
"""Work that may be done in another process."""
Stages = Generator[TrainingRequest | Apart, Any, T]
"""Work with a training in its middle: it yields the request of a training, continues with its outcome, may yield work
that another process can do meanwhile, and returns a result. An exception as an answer is raised at the `yield`."""


@dataclass(frozen=True)
class Ended(Generic[T]):
    """The result of stages that have ended."""

    result: T


def train(setup: TrainingSetup, **callbacks: Any) -> Training:
    """Trains all seeds; in a group of processes, leads it. Callbacks are those of `TrainingRequest`.

    Raises:
        RexError: if no seed had finite numbers, or another process failed.
    """
    (outcome,) = train_together([TrainingRequest(setup, **callbacks)])
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def run_stages(stages: Stages[T]) -> T:
    """Does everything that `stages` request, and returns their result."""
    step = resume_stages(stages, None)
    while not isinstance(step, Ended):
        if isinstance(step, TrainingRequest):
            (answer,) = train_together([step])
        else:
            answer = attempt(step)
        step = resume_stages(stages, answer)
    return step.result


def resume_stages(stages: Stages[T], answer: Any) -> TrainingRequest | Apart | Ended[T]:
    """Returns the next request of `stages`, or their result.

    Args:
        stages: the stages to continue.
        answer: the answer to their last request, None at first; an exception is raised there.
    """
    try:
        return stages.throw(answer) if isinstance(answer, BaseException) else stages.send(answer)
    except StopIteration as end:
        return Ended(end.value)


def attempt(work: Callable[[], Any]) -> Any:
    """Returns the result of some work, or the exception that it raises."""
    try:
        return work()
    except BaseException as error:
        return error


def train_together(requests: Sequence[TrainingRequest]) -> list[Outcome]:
    """Runs trainings that share a program (`TrainingSetup.shares_program`) together.

    An error of one, for example if all its seeds failed, ends only that one.
    """
    began = time.perf_counter()
    members: list[_Member] = []
    try:
        with collecting_rarely():
            program = SeedProgram([request.setup for request in requests])
        members += [_Member(request, SeedBatch(request.setup, program)) for request in requests]
        seconds = time.perf_counter() - began
        for member in members:
            member.attempt(member.begin, seconds)
        while under_way := [member for member in members if member.left]:
            given = program.advance([(member.batch, member.left[0][1]) for member in under_way])
            for member, metrics in zip(under_way, given, strict=True):
                member.attempt(member.evaluated, metrics)
    except BaseException as error:
        if not members:
            return [error] * len(requests)
        for member in members:
            member.end(error)
    return [member.error or member.training for member in members]


class _Member:
    """One of the trainings that run together.

    Attributes:
        left: number and updates of the remaining evaluations.
        training: its results so far.
        error: the error that ended it.
    """

    def __init__(self, request: TrainingRequest, batch: SeedBatch):
        self.request, self.batch = request, batch
        self.left = request.setup.evaluations()
        self.training = Training(batch.policies(), np.full(batch.num_seeds, -np.inf, np.float32))
        self.error: BaseException | None = None
        self._began = 0.0

    def attempt(self, what: Callable[[Any], None], given: Any) -> None:
        """Calls one of its methods; an error ends only this training."""
        try:
            what(given)
        except Exception as error:
            self.end(error)

    def end(self, error: BaseException) -> None:
        """Ends the training early: with its results so far, if it was asked to end."""
        if not self.left:
            return
        self.left = []
        if isinstance(error, KeyboardInterrupt):
            self.batch.group.end(error)
            self.training.interrupted, self.training.stopped_by = True, error
        else:
            self.error = error

    def begin(self, compile_seconds: float) -> None:
        """Reports the compilation, and restores the checkpoint from which the training is resumed."""
        training, batch, start = self.training, self.batch, self.request.setup.start
        training.compile_seconds = compile_seconds
        if self.request.on_compiled:
            self.request.on_compiled(compile_seconds)
        self._began = time.perf_counter()
        if start is not None:
            self._began -= start.seconds
            batch.restore(start)
            training.best_returns = start.best_returns.copy()
            training.policies = batch.policies(best=True)
            training.timesteps = start.updates * batch.setup.algorithm.num_samples * batch.num_seeds
            training.train_seconds = start.seconds
            self.left = batch.setup.evaluations(batch.evaluation)
        batch.scatter()

    def evaluated(self, metrics: dict[str, Floats]) -> None:
        """Processes the next evaluation of this process's seeds, `[own seeds]`."""
        request, setup, batch, training = self.request, self.request.setup, self.batch, self.training
        number, updates = self.left[0]
        metrics, stopped = batch.collect(metrics)
        stopped |= request.stop is not None and request.stop()
        training.train_seconds = time.perf_counter() - self._began
        _keep_best(training, batch, metrics["eval/return_mean"])
        all_failed = len(training.failed) == batch.num_seeds
        if not all_failed:
            batch.announce(stopped)
        timesteps = updates * setup.algorithm.num_samples
        training.timesteps = timesteps * batch.num_seeds
        progress = Progress(number, setup.num_evaluations, updates, timesteps, training.train_seconds, metrics)
        training.history.append(progress)
        if request.on_evaluation:
            request.on_evaluation(progress)
        if request.on_checkpoint:
            request.on_checkpoint(batch.checkpoint(training.train_seconds, training.best_returns))
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
        self.left = [] if stopped else self.left[1:]
        training.interrupted = stopped


def _keep_best(training: Training, batch: SeedBatch, returns: Floats) -> None:
    """Stores what each seed has learned if its mean return, `[num_seeds]`, is its highest so far."""
    training.failed = batch.failed()
    for seed, value in enumerate(returns):
        if seed not in training.failed and value > training.best_returns[seed]:
            batch.keep(seed)
            training.policies[seed] = batch.policy(seed)
            training.best_returns[seed] = value


def train_worker(setup: TrainingSetup, *, stop: Callable[[], bool] | None = None) -> bool:
    """Runs the part of a training of all processes but the first, which leads by `train`.

    Args:
        setup: the same in all processes, except for its devices and this process's number in the group.
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
