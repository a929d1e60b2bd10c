"""Describes a command on an experiment, for single runs and for the jobs of a sweep, in whatever process it runs."""

from __future__ import annotations

import importlib
from collections.abc import Generator, MutableMapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from rexcli import signals
from rexcli.cli.console import Console
from rexcli.cli.job import Job, refuse_others
from rexcli.config.project import Project
from rexcli.config.schema import Experiment
from rexcli.runs.result import Result

WITHOUT_RUN = ("rexcli.cli.show", "rexcli.cli.dry_run")
"""Modules of commands that make no run, and so draw nothing."""


@dataclass(frozen=True)
class CommandSpec:
    """A command as it was typed. It is picklable, so that launchers can send it to other processes.

    Attributes:
        name: the command's name.
        module: module with a function `(Job) -> Result` of the same name; imported when the command runs. A command
            whose jobs can be trained side by side also has a function `stages` there, see `rexcli.cli.train`.
        conf: the experiment's name as it was typed; None for the default.
        argv: the whole command line, for the run's record.
        project: where `conf/`, `nodes/` and `outputs/` are.
        config_dir: an additional folder of YAML files.
        quiet, as_json: see `Console`.
    """

    name: str
    module: str
    conf: str | None
    argv: tuple[str, ...]
    project: Project
    config_dir: str | None
    quiet: bool
    as_json: bool

    @property
    def trains(self) -> bool:
        """Whether the command pauses for a training, so that several trainings can be made side by side."""
        return hasattr(importlib.import_module(self.module), "stages")

    @property
    def makes_run(self) -> bool:
        return self.module not in WITHOUT_RUN

    def on(self, conf: str | None, config_dir: str | None) -> CommandSpec:
        return replace(self, conf=conf, config_dir=config_dir)

    def check(self, experiment: Experiment) -> None:
        refuse_others(experiment, None)

    def note(self, text: str) -> None:
        self._console().note(text)

    def warn(self, text: str) -> None:
        self._console().warn(text)

    def run(self, experiment: Experiment) -> Result:
        """Runs the command once, in a new folder named after the time."""
        return self._run(Job(self.name, experiment, self.project, self._console(), self.argv))

    def run_in(
        self, folder: Path, experiment: Experiment, label: str | None, known: MutableMapping[str, Any] | None = None
    ) -> Generator[Any, Any, Result]:
        """Runs the command as a job of a sweep; see `rexcli.sweep.jobs.Command`."""
        argv = self.argv
        if experiment.resume == str(folder):
            trusted = [word for word in argv if word.startswith("trusted_targets=")]
            argv = (*argv[:2], f"resume={folder}", *trusted)
        job = Job(self.name, experiment, self.project, self._console(label), argv, folder)
        if known is None or not self.trains:
            return self._run(job)
        result: Result = yield from importlib.import_module(self.module).stages(job, known=known)
        return result

    def _run(self, job: Job) -> Result:
        if self.makes_run:
            job.start_drawing()
        with signals.postponed():
            module = importlib.import_module(self.module)
        function = getattr(module, self.name)
        result: Result = function(job)
        return result

    def _console(self, label: str | None = None) -> Console:
        console = Console(self.quiet, self.as_json)
        if label is None:
            return console
        lines: Any = Lines(console.stderr, label)
        return Console(self.quiet, self.as_json, stderr=lines)


class Lines:
    """A stream for one of several jobs that print at once: whole lines, each with the job's name, and no terminal."""

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
