"""Runs the jobs of a sweep: Hydra's launcher, with `ResumingLauncher` between it and the sweeper.

Hydra's sweeper generates jobs, and Hydra's launcher runs them. Between the two, `ResumingLauncher` writes the list of
jobs to `sweep.json` and only passes on those that are not done. So new and resumed sweeps are handled in the same way
with every sweeper and launcher: all, or some, of their jobs are left.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from rexcli.config import compose as composing
from rexcli.config.schema import Experiment
from rexcli.errors import RexError, Terminated, describe
from rexcli.runs import provenance
from rexcli.sweep.folder import JobRow, collect, job_row, read_record, stop_file, write_job, write_record
from rexcli.sweep.jobs import Command, SweepJob
from rexcli.sweep.overrides import identity

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra

SIDE_BY_SIDE = "rexcli.sweep.side_by_side.SideBySide"
"""The launcher of this package."""


class ResumingLauncher(Launcher):
    """Wraps the launcher of a sweeper: passes on the jobs that are not done, and returns the results of all.

    Args:
        inner: the launcher.
        folder: the folder of the sweep.
        fragile: whether a process that dies ends the others too, as in joblib's pool.
    """

    def __init__(self, inner: Launcher, folder: Path, fragile: bool):
        self._inner, self._folder, self._fragile = inner, folder, fragile
        self._taken: set[int] = set()

    def setup(self, **_: Any) -> None:
        """Does nothing: the inner launcher is set up already."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        numbers = self._numbers([identity(overrides) for overrides in job_overrides], initial_job_idx)
        jobs = dict(zip(numbers, job_overrides, strict=True))
        left = [number for number in numbers if self._row(number).status != "done"]
        if left:
            self._run({number: jobs[number] for number in left})
        return [
            JobReturn(overrides=jobs[number], status=JobStatus.COMPLETED, _return_value=self._row(number).objective)
            for number in numbers
        ]

    def _numbers(self, given: list[list[str]], first: int) -> list[int]:
        """Returns each job's number: that of a job with the same overrides in an earlier attempt, or a new one."""
        record = read_record(self._folder)
        known, jobs = list(map(list, record.jobs)), list(map(list, record.jobs))
        numbers = []
        for place, overrides in enumerate(given, start=first):
            same = [n for n, job in enumerate(known) if job == overrides and n not in self._taken]
            if not same and place < len(known):
                raise RexError(
                    f"{self._folder}: job {place} was {' '.join(known[place])} and would now be {' '.join(overrides)}: "
                    "this sweeper does not ask for the same jobs twice; give its sampler a seed"
                )
            number = place if place in same else same[0] if same else len(jobs)
            if number == len(jobs):
                jobs.append(overrides)
            self._taken.add(number)
            numbers.append(number)
        if len(jobs) > len(known):
            write_record(self._folder, replace(record, jobs=tuple(map(tuple, jobs))))
        return numbers

    def _row(self, number: int) -> JobRow:
        return job_row(self._folder / str(number))

    def _run(self, jobs: Mapping[int, Sequence[str]]) -> None:
        """Launches jobs; if a process died and ended the pool, runs those that were running alone, then the others."""
        while jobs:
            before = {number: self._row(number).status for number in jobs}
            try:
                self._hand_on(jobs)
                return
            except Exception:
                after = {number: self._row(number).status for number in jobs}
                died = [number for number in jobs if after[number] == "killed"]
                if not self._fragile or before == after or not died:
                    raise
            for number in died:
                try:
                    self._hand_on({number: jobs[number]})
                except Exception:
                    error = "its process was killed; out of memory?"
                    write_job(self._folder / str(number), identity(jobs[number]), "killed", error)
            ended = ("done", "failed", "interrupted")
            jobs = {n: job for n, job in jobs.items() if n not in died and self._row(n).status not in ended}

    def _hand_on(self, jobs: Mapping[int, Sequence[str]]) -> None:
        """Runs jobs in the folders of their numbers."""
        overrides = [[*job, f"hydra.sweep.subdir='{number}'"] for number, job in jobs.items()]
        returns = self._inner.launch(overrides, initial_job_idx=next(iter(jobs)))
        for number, returned in zip(jobs, returns, strict=True):
            if returned.status == JobStatus.FAILED and isinstance(returned._return_value, Exception):
                error = describe(returned._return_value)
                write_job(self._folder / str(number), identity(jobs[number]), "failed", error)


def launch(
    command: Command,
    cfg: Any,
    app: Hydra,
    conf: str,
    folder: Path,
    attempt: int,
    composed: Mapping[tuple[str, ...], Experiment],
) -> None:
    """Runs Hydra's multirun in the sweep's folder.

    Args:
        command: the command of each job.
        cfg: the configuration that Hydra composed for the sweep.
        app: the application that composed it, from `conf/<conf>.yaml`.
        folder: the folder of the sweep.
        attempt: how many times it was started.
        composed: experiments of jobs that exist already, by the jobs' identity.
    """
    from hydra._internal.callbacks import Callbacks
    from hydra.types import HydraContext
    from omegaconf import OmegaConf

    target = str(cfg.hydra.launcher._target_)
    inside, fragile = target.endswith((".BasicLauncher", SIDE_BY_SIDE)), target.endswith(".JoblibLauncher")
    given: Any = OmegaConf.to_container(cfg.hydra.overrides.task, resolve=False)
    keys = tuple(override.key_or_group for override in composing.parse(given) if override.is_sweep_override())
    owner = provenance.this_process() if fragile else None
    job = SweepJob(command, attempt, inside, owner, keys, composed if inside else {})
    callbacks = Callbacks(cfg)
    callbacks.on_multirun_start(config=cfg, config_name=conf)
    context = HydraContext(config_loader=app.config_loader, callbacks=callbacks)
    sweeper = _resuming_sweeper(cfg, context, job, folder, fragile)
    for talkative, level in (("optuna", logging.WARNING), ("hydra_plugins", logging.ERROR)):
        logging.getLogger(talkative).setLevel(level)
    with _stopped_in_order(command, folder, attempt, inside):
        sweeper.sweep(arguments=given)
    callbacks.on_multirun_end(config=cfg, config_name=conf)


def _resuming_sweeper(cfg: Any, context: Any, job: SweepJob, folder: Path, fragile: bool) -> Any:
    """Returns the sweeper of `cfg`, with a `ResumingLauncher` around its launcher: the only place that changes Hydra
    itself.

    Every sweeper creates its launcher in its `setup`, by `Plugins.instantiate_launcher`, and stores it under a name of
    its own. Hydra has no hook there and only accepts launchers from its own packages. So that method is replaced while
    the sweeper is created, which also allows this package's launcher. The checks of sweepers before launching would
    compose every job again, after `variants` has checked every value; they are left out.
    """
    from hydra.core.plugins import Plugins

    plugins: Any = Plugins.instance()
    original = plugins.instantiate_launcher
    side_by_side = str(cfg.hydra.launcher._target_) == SIDE_BY_SIDE
    make = _side_by_side if side_by_side else original
    plugins.instantiate_launcher = lambda **given: ResumingLauncher(make(**given), folder, fragile)
    try:
        sweeper = plugins.instantiate_sweeper(config=cfg, hydra_context=context, task_function=job)
    finally:
        del plugins.instantiate_launcher
    if hasattr(sweeper, "validate_batch_is_legal"):
        sweeper.validate_batch_is_legal = lambda _: None
    return sweeper


def _side_by_side(config: Any, **given: Any) -> Launcher:
    from rexcli.sweep.side_by_side import SideBySide  # which imports JAX

    launcher = SideBySide(config.hydra.launcher.n_jobs)
    launcher.setup(config=config, **given)
    return launcher


@contextmanager
def _stopped_in_order(command: Command, folder: Path, attempt: int, inside: bool) -> Iterator[None]:
    """Lets jobs in other processes end on the first Ctrl-C or SIGTERM, so that they keep their results; the next one
    does not wait.
    """
    if inside or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: Any) -> None:
        restore()
        stop_file(folder, attempt).touch()
        command.note("stopping: jobs that run are interrupted and kept; Ctrl-C again to wait no longer")
        while any(row.status == "running" for row in collect(folder)):
            time.sleep(0.2)
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        restore()
