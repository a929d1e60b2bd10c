"""Runs a command under Hydra: one job, or with `-m` a sweep, see `rexcli.cli.multirun`.

Hydra keeps its hands off the disk in single runs. In a sweep it has `outputs/<experiment>/<command>/<time>/`, one
folder a job; see `rexcli.cli.sweep` for what comes of it.
"""

from __future__ import annotations

import importlib
import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rexcli.cli.console import Console, Result
from rexcli.cli.job import Job
from rexcli.config import compose as composing
from rexcli.config.compose import compose
from rexcli.config.mistakes import mistakes
from rexcli.config.project import Project, find_project
from rexcli.config.schema import Experiment
from rexcli.errors import RexError

PLAIN = {
    "hydra/job_logging": "none",
    "hydra/hydra_logging": "none",
    "hydra.run.dir": ".",
    "hydra.output_subdir": "null",
}
"""Hydra's settings here, where the command line does not set them."""


@dataclass(frozen=True)
class Flags:
    """Hydra's own flags, and `--sort` of a sweep's table."""

    multirun: bool = False
    cfg: str | None = None
    resolve: bool = False
    package: str | None = None
    info: str | None = None
    config_dir: str | None = None
    config_name: str | None = None
    sort: str | None = None


@dataclass(frozen=True)
class Task:
    """What Hydra calls for each job. Picklable, so that launchers can send it to other processes."""

    command: str
    module: str
    conf: str | None
    argv: tuple[str, ...]
    project: Project
    config_dir: str | None
    quiet: bool
    as_json: bool

    def job(self, experiment: Experiment, path: Path | None = None) -> Job:
        return Job(self.command, experiment, self.project, Console(self.quiet, self.as_json), self.argv, path)

    def run(self, job: Job) -> Result:
        """The command's function, `rexcli.cli.<command>.<command>`, on a job."""
        function = getattr(importlib.import_module(self.module), self.command)
        result: Result = function(job)
        return result


@dataclass
class Single:
    """The task of a single run: keeps what came of it, so that Hydra has nothing to report."""

    task: Task
    experiment: Experiment
    result: Result | None = None
    error: Exception | None = None

    def __call__(self, _: Any) -> float | None:
        try:
            self.result = self.task.run(self.task.job(self.experiment))
        except Exception as error:
            self.error = error
            return None
        return self.result.objective


def run(command: str, module: str, words: Sequence[str], flags: Flags, console: Console, argv: Sequence[str]) -> int:
    """Runs a command as its flags say.

    Args:
        command: its name; `module` has a function of this name that takes a `Job`.
        module: where that function is; imported once the experiment is composed.
        words: `conf=NAME` and Hydra overrides.
        flags: Hydra's.
        console: where to speak.
        argv: the whole command line, for the run's record.

    Returns:
        The exit code.

    Raises:
        RexError: for whatever was typed or declared wrong.
    """
    project = find_project()
    conf, overrides = split_conf(words, flags.config_name)
    task = Task(command, module, conf, tuple(argv), project, flags.config_dir, console.quiet, console.as_json)
    if flags.cfg or flags.info:
        return _show(task, overrides, flags)
    if flags.multirun:
        from rexcli.cli import multirun

        return multirun.run(task, overrides, console, flags.sort)
    for text in overrides:
        if text.startswith(("launcher=", "sweeper=")):
            raise RexError(f"command line: {text}: this is for sweeps; add -m")
    if flags.sort is not None:
        raise RexError(f"command line: --sort {flags.sort}: this is for sweeps; add -m")
    single = Single(task, compose(conf, overrides, project=project, config_dir=flags.config_dir))
    with composing.hydra(project, flags.config_dir) as app, mistakes(project, conf, flags.config_dir):
        app.run(
            config_name=composing.conf_name(conf, project, flags.config_dir),
            task_function=single,
            overrides=settings(overrides) + composing.translate(overrides, app),
        )
    if single.error is not None:
        raise single.error
    assert single.result is not None
    console.finish(single.result, command=command, experiment=single.experiment.name)
    return 0


def split_conf(words: Sequence[str], config_name: str | None = None) -> tuple[str | None, list[str]]:
    """Separates `conf=NAME` from the overrides."""
    names = [word.removeprefix("conf=") for word in words if word.startswith("conf=")]
    if config_name is not None:
        names.append(config_name)
    if len(set(names)) > 1 or any("," in name for name in names):
        raise RexError(f"command line: conf={','.join(names)}: give one experiment; run the command once for each")
    return (names[0] if names else None), [word for word in words if not word.startswith("conf=")]


def settings(overrides: Sequence[str]) -> list[str]:
    """Overrides that put Hydra's own settings as `PLAIN` has them, but for those that `overrides` set."""
    given = {text.partition("=")[0].lstrip("+~") for text in overrides}
    return [f"{key}={value}" for key, value in PLAIN.items() if key not in given]


def _show(task: Task, overrides: list[str], flags: Flags) -> int:
    """Hydra's `--cfg` and `--info`."""
    from hydra.types import RunMode

    from rexcli.cli.multirun import chosen

    with composing.hydra(task.project, flags.config_dir) as app, mistakes(task.project, task.conf, flags.config_dir):
        name = composing.conf_name(task.conf, task.project, flags.config_dir)
        overrides = chosen(overrides, app, name)
        translated = settings(overrides) + composing.translate(overrides, app)
        if flags.cfg:
            if flags.cfg not in ("job", "hydra", "all"):
                raise RexError(f"command line: --cfg {flags.cfg}: give job, hydra or all")
            try:
                with redirect_stderr(io.StringIO()):  # Hydra says what is missing, and leaves
                    app.show_cfg(name, translated, flags.cfg, flags.package, flags.resolve)
            except SystemExit:
                raise RexError(f"command line: --package {flags.package}: the configuration has no such key") from None
        else:
            infos = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
            if flags.info not in infos:
                raise RexError(f"command line: --info {flags.info}: give {', '.join(infos)}")
            with _root_logger_kept():
                app.show_info(flags.info, name, translated, RunMode.RUN)
    return 0


@contextmanager
def _root_logger_kept() -> Iterator[None]:
    """Hydra prints its information by way of the root logger, which it sets up anew."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
