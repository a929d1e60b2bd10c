"""Trains many seeds: the loop around the compiled updates, on the host.

`rexcli.rl.seed_batch` has the seeds' states, and the program that moves them on. Several trainings that share a program
may be made together (`train_together`), each with its own callbacks, as `launcher=vmap` does.

Training knows an algorithm by the methods of `rexcli.rl.algorithm.Algorithm` alone. Another one, such as SAC, is a new
file beside `ppo.py` with a class that has these methods, and a YAML file beside `conf/ppo/default.yaml`. Its settings
become a section of `rexcli.config.schema.Experiment`, and `rexcli.pipeline.algorithm` chooses it where that is given.

A `ProcessGroup` of several processes shares the seeds. Process 0 runs `train`, all others `train_worker`: each trains
its own seeds, and after every evaluation process 0 has their states and metrics, and says whether training goes on. So
on CPU a seed's policy and its evaluations are the same, bit for bit, however many processes there are.
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
from rexcli.rl.checkpoints import Checkpoint
from rexcli.rl.policy import Policy
from rexcli.rl.seed_batch import SeedBatch
from rexcli.rl.seed_program import SeedProgram
from rexcli.rl.training_setup import TrainingSetup

Floats = npt.NDArray[np.float32]
T = TypeVar("T")


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


@dataclass(frozen=True)
class TrainingRequest:
    """A training that is to be made, and who is told of it.

    Attributes:
        setup: of the training.
        on_compiled: is told the seconds that compilation took.
        on_evaluation: is told how training stands.
        on_checkpoint: after that, is given all that it takes to go on from there.
        stop: is asked after each evaluation whether training is to end there, as on Ctrl-C.
    """

    setup: TrainingSetup
    on_compiled: Callable[[float], None] | None = None
    on_evaluation: Callable[[Progress], None] | None = None
    on_checkpoint: Callable[[Checkpoint], None] | None = None
    stop: Callable[[], bool] | None = None


Outcome = Training | BaseException
"""What came of a request: what training gave, or what it raised."""
Apart = partial[Any]
"""Work that may be done in another process."""
Stages = Generator[TrainingRequest | Apart, Any, T]
"""Work with a training in its middle: yields what is to be trained, goes on with what came of it, may yield what
another process can do meanwhile, and returns a result. What is raised in place of an answer is raised where it was
asked for."""


@dataclass(frozen=True)
class Ended(Generic[T]):
    """What stages return."""

    result: T


def train(setup: TrainingSetup, **callbacks: Any) -> Training:
    """Trains all seeds; in a group of processes, leads it. Callbacks are those of `TrainingRequest`.

    Raises:
        RexError: where no seed gave finite numbers, or of another process.
    """
    (outcome,) = train_together([TrainingRequest(setup, **callbacks)])
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def run_stages(stages: Stages[T]) -> T:
    """Does all that `stages` ask for, and returns their result."""
    step = resume_stages(stages, None)
    while not isinstance(step, Ended):
        if isinstance(step, TrainingRequest):
            (answer,) = train_together([step])
        else:
            answer = attempt(step)
        step = resume_stages(stages, answer)
    return step.result


def resume_stages(stages: Stages[T], answer: Any) -> TrainingRequest | Apart | Ended[T]:
    """What `stages` ask for next.

    Args:
        stages: to go on with.
        answer: to what they asked for last, None at first; an exception is raised there.
    """
    try:
        return stages.throw(answer) if isinstance(answer, BaseException) else stages.send(answer)
    except StopIteration as end:
        return Ended(end.value)


def attempt(work: Callable[[], Any]) -> Any:
    """What work gives, or the exception that it raises."""
    try:
        return work()
    except BaseException as error:
        return error


def train_together(requests: Sequence[TrainingRequest]) -> list[Outcome]:
    """Makes trainings that share a program (`TrainingSetup.shares_program`) side by side.

    What one raises, as where all its seeds failed, ends that one alone.
    """
    began = time.perf_counter()
    members: list[_Member] = []
    try:
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
    """One of the trainings that are made together.

    Attributes:
        left: number and updates of the evaluations that it has before it.
        training: what it gave so far.
        error: what ended it.
    """

    def __init__(self, request: TrainingRequest, batch: SeedBatch):
        self.request, self.batch = request, batch
        self.left = request.setup.evaluations()
        self.training = Training(batch.policies(), np.full(batch.num_seeds, -np.inf, np.float32))
        self.error: BaseException | None = None
        self._began = 0.0

    def attempt(self, what: Callable[[Any], None], given: Any) -> None:
        """Calls one of its methods; an error ends this training, and no other."""
        try:
            what(given)
        except Exception as error:
            self.end(error)

    def end(self, error: BaseException) -> None:
        """Ends it before its time: with what it has, where somebody wants it to end."""
        if not self.left:
            return
        self.left = []
        if isinstance(error, KeyboardInterrupt):
            self.batch.group.end(error)
            self.training.interrupted, self.training.stopped_by = True, error
        else:
            self.error = error

    def begin(self, compile_seconds: float) -> None:
        """Tells of the compilation, and goes back to where the training is to go on."""
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
        """Takes the next evaluation of this process's seeds, `[own seeds]`."""
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
