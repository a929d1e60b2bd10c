"""Runs a job of a sweep, in whatever process a launcher calls it: how it begins, continues and ends."""

from __future__ import annotations

import _thread
import math
import os
import signal
import threading
import time
from collections.abc import Generator, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self

from rexcli.config import compose as composing
from rexcli.config.compose import compose
from rexcli.config.project import Project
from rexcli.config.schema import Experiment
from rexcli.errors import INTERRUPTED, describe
from rexcli.runs import provenance
from rexcli.runs.result import Result, cell
from rexcli.runs.view import RunView
from rexcli.sweep.folder import SIGN_OF_LIFE, job_row, set_aside, stop_file, write_job
from rexcli.sweep.overrides import identity

Known = MutableMapping[str, Any]
"""Objects that jobs have made and others can use, by what they were made from."""

LAST_WORDS = 60.0
"""Seconds that a job has to end if the process of its sweep has died."""


class Command(Protocol):
    """The command that a sweep repeats. It is picklable, so that launchers can send it to other processes."""

    @property
    def name(self) -> str: ...

    @property
    def conf(self) -> str | None:
        """The experiment's name as it was typed; None for the default."""

    @property
    def project(self) -> Project: ...

    @property
    def config_dir(self) -> str | None:
        """One more folder of YAML files."""

    @property
    def trains(self) -> bool:
        """Whether it makes a training, so that several can be made side by side."""

    def on(self, conf: str | None, config_dir: str | None) -> Self:
        """Returns the command for another experiment."""

    def check(self, experiment: Experiment) -> None:
        """Raises an error for an experiment that this command cannot sweep.

        Raises:
            RexError: names the reason.
        """

    def note(self, text: str) -> None:
        """Shows a message on the progress to the user."""

    def warn(self, text: str) -> None:
        """Shows a warning to the user."""

    def run_in(
        self, folder: Path, experiment: Experiment, label: str | None, known: Known | None = None
    ) -> Generator[Any, Any, Result]:
        """Runs the command on one experiment, to the end; or, given `known`, if the command trains, as
        `rexcli.rl.train.Stages`.

        Args:
            folder: the folder of its run.
            experiment: the experiment, composed and checked.
            label: the beginning of each line of its output, if several jobs run at once.
            known: objects that earlier jobs have made and this one can use, and to which it adds its own.
        """


@dataclass(frozen=True)
class SweepJob:
    """The function that a launcher calls for each job: records its status in the job's folder, and never stops other
    jobs.

    Attributes:
        command: the command to run.
        attempt: the attempt of the sweep; see `folder.stop_file`.
        inside: whether jobs run in the sweep's own process.
        owner: the process whose death ends a job; None for jobs that may outlive the sweep, for example in a queue.
        keys: the swept keys, which identify a job in messages; empty for every key.
        composed: experiments of jobs that exist already, by `identity`; others are composed.
    """

    command: Command
    attempt: int = 1
    inside: bool = True
    owner: Mapping[str, Any] | None = None
    keys: tuple[str, ...] = ()
    composed: Mapping[tuple[str, ...], Experiment] = field(default_factory=dict)

    def __call__(self, _: Any) -> float | None:
        try:
            next(self.stages())
        except StopIteration as end:
            objective: float | None = end.value
            return objective
        raise RuntimeError("a job that runs by itself asked for its training")

    def stages(self, known: Known | None = None) -> Generator[Any, Any, float | None]:
        """Runs the whole job as `Command.run_in` does, and returns its objective. Hydra's settings are only read in its
        first part."""
        from hydra.core.hydra_config import HydraConfig

        settings: Any = HydraConfig.get()
        folder = Path(settings.runtime.output_dir)
        if self._is_over(folder.parent):
            return None
        own_settings, given = composing.given_overrides(settings)
        overrides = identity(given)
        shown = [text for text in overrides if not self.keys or text.partition("=")[0] in self.keys]
        goes_on = self._can_go_on(folder)
        self.command.note(f"job {folder.name}: {' '.join(shown)}{' (goes on from its checkpoint)' if goes_on else ''}")
        try:
            if not goes_on:
                set_aside(folder)
            write_job(folder, overrides, "running")
            with self._attended(folder):
                command = self.command
                experiment = self.composed.get(tuple(overrides)) or compose(
                    command.conf, own_settings + given, project=command.project, config_dir=command.config_dir
                )
                if goes_on:
                    experiment = replace(experiment, resume=str(folder))
                label = None if self.inside and known is None else f"job {folder.name}: "
                result = yield from command.run_in(folder, experiment, label, known)
            objective = None if result.objective is None else float(result.objective)
            if objective is not None and not math.isfinite(objective):
                objective = None
            write_job(folder, overrides, "done", objective=objective)
        except Exception as error:
            self.command.note(f"job {folder.name} failed: {describe(error)}")
            write_job(folder, overrides, "failed", describe(error))
            return None
        except KeyboardInterrupt:
            write_job(folder, overrides, "interrupted")
            if self.inside:
                raise
            self.command.note(f"job {folder.name} interrupted")
            return None
        self.command.note(
            f"job {folder.name} done: {', '.join(f'{key} {cell(value)}' for key, value in result.values.items())}"
        )
        return objective

    def _can_go_on(self, folder: Path) -> bool:
        """Returns whether the job is a training that was stopped after a checkpoint; a failed one is run from the
        beginning.
        """
        if self.command.name != "train" or not next((folder / "checkpoints").glob("*"), None):
            return False
        stopped = ("killed", "interrupted")
        return job_row(folder).status in stopped and RunView(folder).status in stopped

    def _is_over(self, folder: Path) -> bool:
        orphaned = self.owner is not None and not provenance.is_alive(self.owner)
        return orphaned or stop_file(folder, self.attempt).exists()

    @contextmanager
    def _attended(self, folder: Path) -> Iterator[None]:
        """Writes heartbeats, and interrupts the job once if the sweep is stopped, or its process has died."""
        over, seen = threading.Event(), threading.Event()
        main = threading.main_thread()
        handled = not self.inside and threading.current_thread() is main

        def interrupt(*_: Any) -> None:
            if not seen.is_set() and not over.is_set():
                seen.set()
                raise KeyboardInterrupt

        def watch() -> None:
            last = time.monotonic()
            while not over.wait(0.5):
                if time.monotonic() - last > SIGN_OF_LIFE:
                    last = time.monotonic()
                    with suppress(OSError):
                        os.utime(folder / "job.json")
                if handled and not seen.is_set() and self._is_over(folder.parent):
                    _thread.interrupt_main()
                    with suppress(AttributeError, OSError):
                        signal.pthread_kill(main.ident or 0, signal.SIGINT)  # ends a system call that waits
                    if self.owner is not None and not provenance.is_alive(self.owner):
                        over.wait(LAST_WORDS)
                        time.sleep(1.0)
                        os._exit(INTERRUPTED)

        if handled:
            signal.signal(signal.SIGINT, interrupt)
        threading.Thread(target=watch, daemon=True).start()
        try:
            yield
        finally:
            over.set()
            if handled:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
