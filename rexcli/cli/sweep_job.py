"""A sweep's job, in whatever process a launcher runs it: how it begins, goes on, and ends."""

from __future__ import annotations

import _thread
import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rexcli.cli import sweep
from rexcli.cli.console import Console
from rexcli.cli.errors import INTERRUPTED, describe
from rexcli.config import compose as composing
from rexcli.config.compose import compose
from rexcli.runs import provenance
from rexcli.runs.view import RunView

if TYPE_CHECKING:
    from rexcli.cli.hydra import Task
    from rexcli.cli.job import Job
    from rexcli.config.schema import Experiment

LAST_WORDS = 60.0
"""Seconds that a job has to come to its end once the sweep that started it is gone."""


@dataclass(frozen=True)
class SweepJob:
    """What a launcher calls for each job: notes how it went in the job's folder, and never stops the others.

    Attributes:
        task: what to run.
        attempt: of the sweep; see `sweep.stop_file`.
        inside: whether jobs run in the sweep's own process.
        owner: the process without which a job shall end; None for jobs that outlive the sweep, in a queue say.
        keys: what is swept, to say which job is which; empty for every key.
    """

    task: Task
    attempt: int = 1
    inside: bool = True
    owner: Mapping[str, Any] | None = None
    keys: tuple[str, ...] = ()

    def __call__(self, _: Any) -> float | None:
        from hydra.core.hydra_config import HydraConfig

        settings: Any = HydraConfig.get()
        folder = Path(settings.runtime.output_dir)
        if self._is_over(folder.parent):
            return None
        own_settings, given = composing.given_overrides(settings)
        overrides = identity(given)
        console = Console(self.task.quiet, self.task.as_json)
        shown = [text for text in overrides if not self.keys or text.partition("=")[0] in self.keys]
        goes_on = self._can_go_on(folder)
        console.note(f"job {folder.name}: {' '.join(shown)}{' (goes on from its checkpoint)' if goes_on else ''}")
        if not goes_on:
            sweep.set_aside(folder)
        sweep.write_job(folder, overrides, "running")
        try:
            with self._attended(folder):
                experiment = compose(
                    self.task.conf, own_settings + given, project=self.task.project, config_dir=self.task.config_dir
                )
                result = self.task.run(self._job(experiment, folder, goes_on))
        except Exception as error:
            sweep.write_job(folder, overrides, "failed", describe(error))
            console.note(f"job {folder.name} failed: {describe(error)}")
            return None
        except KeyboardInterrupt:
            sweep.write_job(folder, overrides, "interrupted")
            if self.inside:
                raise
            console.note(f"job {folder.name} interrupted")
            return None
        objective = None if result.objective is None else float(result.objective)
        if objective is not None and not math.isfinite(objective):
            objective = None
        sweep.write_job(folder, overrides, "done", objective=objective)
        console.note(f"job {folder.name} done: {sweep.one_line(result.values)}")
        return objective

    def _job(self, experiment: Experiment, folder: Path, goes_on: bool) -> Job:
        job = self.task.job(experiment, folder)
        if goes_on:
            trusted = [word for word in job.argv if word.startswith("trusted_targets=")]
            argv = (*job.argv[:2], f"resume={folder}", *trusted)
            job = replace(job, experiment=replace(experiment, resume=str(folder)), argv=argv)
        if self.inside:
            return job
        lines: Any = Lines(job.console.stderr, f"job {folder.name}: ")
        return replace(job, console=Console(self.task.quiet, self.task.as_json, stderr=lines))

    def _can_go_on(self, folder: Path) -> bool:
        """Whether the job is a training that was stopped after a checkpoint; one that failed starts anew."""
        if self.task.command != "train" or not next((folder / "checkpoints").glob("*"), None):
            return False
        stopped = ("killed", "interrupted")
        return sweep.job_row(folder).status in stopped and RunView(folder).status in stopped

    def _is_over(self, folder: Path) -> bool:
        orphaned = self.owner is not None and not provenance.is_alive(self.owner)
        return orphaned or sweep.stop_file(folder, self.attempt).exists()

    @contextmanager
    def _attended(self, folder: Path) -> Iterator[None]:
        """Gives signs of life, and interrupts the job once when the sweep is stopped, or its process is gone."""
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
                if time.monotonic() - last > sweep.SIGN_OF_LIFE:
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


class Lines:
    """A stream for one of several jobs that speak at once: whole lines, each with the job's name, and no terminal."""

    def __init__(self, stream: IO[str], prefix: str):
        self._stream, self._prefix, self._rest = stream, prefix, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        self._stream.write("".join(f"{self._prefix}{line}\n" for line in lines))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return False


def identity(overrides: Sequence[str]) -> list[str]:
    """What makes a job the job that it is: its overrides as they were typed, without how it is launched."""
    return [text.removeprefix("++") for text in overrides if not is_choice(text)]


def is_choice(override: str) -> bool:
    """Whether an override says how a sweep is run, and nothing of the experiment: launcher, sweeper, Hydra's own."""
    key = override.partition("=")[0].lstrip("+~")
    return key in ("launcher", "sweeper") or key.startswith(("hydra.", "hydra/"))
