"""Implements `launcher=vmap`: jobs whose trainings share one compiled program are trained together, in this process."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.utils import JobReturn

from rexcli.errors import RexError
from rexcli.plot.drawing_processes import start_workers
from rexcli.rl.ppo import NUMBERS
from rexcli.rl.train import Outcome, Stages, Training, TrainingRequest, attempt, resume_stages, train_together
from rexcli.rl.training_setup import TrainingSetup
from rexcli.sweep.jobs import Known, SweepJob
from rexcli.sweep.overrides import identity

_NUMBERS = ["seed", *(rf"ppo\.{name}" for name in NUMBERS)]
_NUMBERS += [rf"{each}\.[^.]+\.(params|delay|expected_delay)(\..+)?" for each in ("nodes", "edges")]
WITHIN = re.compile(rf"\+*({'|'.join(_NUMBERS)})")
"""Keys whose values may differ between jobs that share a program."""


class _Begun(NamedTuple):
    """A job that has reached its training: its remaining stages, its request, and the context of its log."""

    stages: Stages[float | None]
    request: TrainingRequest
    context: Context


class SideBySide(BasicLauncher):
    """Runs jobs one after another up to their trainings; trains those that share a program together when there is no
    room for more of them, or no more jobs; and finishes each. Pictures are drawn in separate processes.

    Args:
        n_jobs: the most jobs that are trained together; None for as many as fit into memory.

    Raises:
        RexError: if it is less than one.
    """

    def __init__(self, n_jobs: int | None = None):
        super().__init__()
        if n_jobs is not None and (not isinstance(n_jobs, int) or n_jobs < 1):
            raise RexError(f"hydra.launcher.n_jobs={n_jobs}: give 1 or more, or null for as many as fit into memory")
        self._most = n_jobs
        self._known: Known = {}
        self._waiting: list[list[_Begun]] = []

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        self._job: SweepJob = task_function
        super().setup(hydra_context=hydra_context, task_function=self._begin, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        returned: dict[int, JobReturn] = {}
        command = self._job.command
        if not command.trains:
            command.note(f"rex {command.name} has no training to make side by side: its jobs run one after another")
        try:
            for places in _by_program(job_overrides):
                self._known.clear()
                for place in places:
                    (returned[place],) = super().launch([job_overrides[place]], initial_job_idx + place)
                while self._waiting:
                    self._train(self._waiting[0])
        except BaseException as error:
            for jobs in self._waiting:
                with suppress(KeyboardInterrupt):
                    self._finish(jobs, [error] * len(jobs))
            raise
        return [returned[place] for place in range(len(job_overrides))]

    def _begin(self, _: Any) -> None:
        """Runs a job up to its training. A job without training, or that has failed, has then ended."""
        stages, context = self._job.stages(self._known), copy_context()
        request = context.run(resume_stages, stages, None)
        if not isinstance(request, TrainingRequest):
            return
        begun, setup = _Begun(stages, request, context), request.setup
        alike = [jobs for jobs in self._waiting if jobs[0].request.setup.shares_program(setup)]
        if alike and self._has_room(setup, len(alike[0]) + 1):
            alike[0].append(begun)
            return
        self._waiting.append([begun])
        for jobs in alike:
            self._train(jobs)

    def _has_room(self, setup: TrainingSetup, trainings: int) -> bool:
        return (self._most is None or trainings <= self._most) and setup.has_room(trainings)

    def _train(self, jobs: list[_Begun]) -> None:
        """Trains waiting jobs together, and finishes each."""
        outcomes = train_together([each.request for each in jobs])
        stopped = [each.stopped_by for each in outcomes if isinstance(each, Training) and each.interrupted]
        if stopped:
            self._job.command.note("stopping: jobs keep what they made; Ctrl-C again to wait no longer")
        self._finish(jobs, outcomes, *stopped[:1])
        self._waiting.remove(jobs)

    def _finish(self, jobs: list[_Begun], outcomes: Sequence[Outcome], stopped: BaseException | None = None) -> None:
        """Runs jobs to their ends.

        Args:
            jobs: the jobs; the list is empty afterwards.
            outcomes: the outcomes of their trainings.
            stopped: the exception that stopped all of them, including those that were trained already.

        Raises:
            KeyboardInterrupt: if one of them was interrupted, or all are now.
        """
        raised: BaseException | None = None
        answers: list[Any] = list(outcomes)
        workers = start_workers(len(jobs)) if stopped is None and len(jobs) > 1 else None
        try:
            while jobs:
                job, answer = jobs.pop(0), answers.pop(0)
                own = answer.stopped_by if isinstance(answer, Training) and answer.interrupted else None
                if stopped is not None and own is not stopped:
                    answer = stopped
                elif isinstance(answer, _DeferredWork):
                    answer = attempt(answer.wait)
                try:
                    step = job.context.run(resume_stages, job.stages, answer)
                except KeyboardInterrupt as error:
                    raised = raised or error
                    if error is not own:  # Ctrl-C once more, or while a job was finished
                        stopped = error
                    continue
                if isinstance(step, partial):  # others go on while a worker does it
                    jobs.append(job)
                    answers.append(_DeferredWork.by(workers, step))
        finally:
            if workers is not None:
                workers.shutdown(wait=False, cancel_futures=True)
        if raised is not None:
            raise raised


class _DeferredWork(NamedTuple):
    """Work that a worker does, if there is one."""

    work: partial[Any]
    future: Future[Any] | None

    @classmethod
    def by(cls, workers: Executor | None, work: partial[Any]) -> _DeferredWork:
        """Passes work to a worker, unless there is none or one has died."""
        with suppress(BrokenExecutor):
            return cls(work, None if workers is None else workers.submit(work))
        return cls(work, None)

    def wait(self) -> Any:
        """Returns the result of the work, which is done here if the worker died."""
        with suppress(BrokenExecutor):
            if self.future is not None:
                return self.future.result()
        return self.work()


def _by_program(jobs: Sequence[Sequence[str]]) -> Iterator[list[int]]:
    """Yields indices of jobs whose overrides let them share a program, with those of one seed adjacent."""
    words = [identity(job) for job in jobs]
    others = [[text for text in job if not WITHIN.fullmatch(text.partition("=")[0])] for job in words]
    seeds = [[text for text in job if text.startswith("seed=")] for job in words]
    order = sorted(range(len(jobs)), key=lambda place: (others.index(others[place]), seeds.index(seeds[place])))
    for _, places in groupby(order, key=lambda place: others[place]):
        yield list(places)
