"""Runs a command under Hydra: once, or as a sweep with `-m`, see `rexcli.sweep`.

Hydra writes no files in single runs. In a sweep it uses `outputs/<experiment>/<command>/<time>/`, with one folder per
job; see `rexcli.sweep.folder`.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from typing import Any

import numpy as np  # noqa: F401  # before jaxlib does from C++, where Ctrl-C would be told by a traceback

from rexcli.cli import drawing
from rexcli.cli.command_spec import CommandSpec
from rexcli.cli.console import Console, shorten
from rexcli.cli.errors import report
from rexcli.config import compose as composing
from rexcli.config.composition_errors import composition_errors
from rexcli.config.project import find_project
from rexcli.config.schema import Experiment
from rexcli.errors import RexError
from rexcli.runs.result import Result
from rexcli.sweep.overrides import chosen, settings


@dataclass(frozen=True)
class Flags:
    """Hydra's own flags, and `--sort` for a sweep's table."""

    multirun: bool = False
    cfg: str | None = None
    resolve: bool = False
    package: str | None = None
    info: str | None = None
    config_dir: str | None = None
    config_name: str | None = None
    sort: str | None = None


def run(command: str, module: str, words: Sequence[str], flags: Flags, console: Console, argv: Sequence[str]) -> int:
    """Runs a command as the flags say.

    Args:
        command: name of the command; `module` has a function of this name that takes a `Job`.
        module: module of that function; imported once the experiment is composed.
        words: `conf=NAME` and Hydra overrides.
        flags: Hydra's flags.
        console: where output goes.
        argv: the whole command line, for the run's record.

    Returns:
        The exit code.

    Raises:
        RexError: the command line or the experiment is wrong.
    """
    project = find_project()
    conf, overrides = split_conf(words, flags.config_name)
    task = CommandSpec(command, module, conf, tuple(argv), project, flags.config_dir, console.quiet, console.as_json)
    if flags.cfg or flags.info:
        return _show(task, overrides, flags)
    if flags.multirun:
        return _sweep(task, overrides, console, flags.sort)
    for text in overrides:
        if text.startswith(("launcher=", "sweeper=")):
            raise RexError(f"command line: {text}: this is for sweeps; add -m")
    if flags.sort is not None:
        raise RexError(f"command line: --sort {flags.sort}: this is for sweeps; add -m")
    experiment, result = _run_once(task, overrides)
    console.finish(result, command=command, experiment=experiment.name)
    return 0


def _run_once(task: CommandSpec, overrides: Sequence[str]) -> tuple[Experiment, Result]:
    """Composes the experiment and runs the command on it as a Hydra job, with Hydra's settings in force."""
    from hydra._internal.callbacks import Callbacks
    from hydra.core.utils import JobStatus, run_job
    from hydra.types import HydraContext, RunMode

    project, config_dir = task.project, task.config_dir
    if task.makes_run:
        drawing.prepare()
    with composing.hydra(project, config_dir) as app, composition_errors(project, task.conf, config_dir):
        composing.refuse_sweeps(overrides)
        conf = composing.conf_name(task.conf, project, config_dir)
        translated = settings(overrides) + composing.translate(overrides, app)
        cfg = app.compose_config(conf, translated, RunMode.RUN, from_shell=False)
        experiment = composing.experiment_of(cfg, app, project)
        callbacks = Callbacks(cfg)
        callbacks.on_run_start(config=cfg, config_name=conf)
        context = HydraContext(app.config_loader, callbacks)
        job = run_job(lambda _: task.run(experiment), cfg, "hydra.run.dir", None, context)
        callbacks.on_run_end(config=cfg, config_name=conf, job_return=job)
    outcome: Any = job._return_value  # `return_value` prints if the job failed
    if job.status == JobStatus.FAILED:
        raise outcome
    return experiment, outcome


def _sweep(task: CommandSpec, overrides: Sequence[str], console: Console, sort: str | None) -> int:
    """Runs a sweep, prints its table, and returns the exit code."""
    from rexcli.sweep.run import run as run_sweep
    from rexcli.sweep.table import shown

    ended = run_sweep(task, overrides)
    try:
        table = shown(ended.jobs, sort)
    except RexError as error:
        console.warn(str(error))
        table = shown(ended.jobs)
    console.finish(Result(tables=[table], path=ended.folder), command=task.name, experiment=ended.experiment)
    left = sum(job.status != "done" for job in ended.jobs)
    if left:
        again = f"rex {task.name} -m resume={shorten(ended.folder)} makes them again"
        console.note(f"{left} of {len(ended.jobs)} jobs are not done; {again}")
    if ended.stopped is not None:
        return report(ended.stopped)
    return 1 if left or not ended.jobs else 0


def split_conf(words: Sequence[str], config_name: str | None = None) -> tuple[str | None, list[str]]:
    """Separates `conf=NAME` from the overrides."""
    names = [word.removeprefix("conf=") for word in words if word.startswith("conf=")]
    if config_name is not None:
        names.append(config_name)
    if len(set(names)) > 1 or any("," in name for name in names):
        raise RexError(f"command line: conf={','.join(names)}: give one experiment; run the command once for each")
    return (names[0] if names else None), [word for word in words if not word.startswith("conf=")]


def _show(task: CommandSpec, overrides: list[str], flags: Flags) -> int:
    """Implements Hydra's `--cfg` and `--info`."""
    from hydra.types import RunMode

    with (
        composing.hydra(task.project, flags.config_dir) as app,
        composition_errors(task.project, task.conf, flags.config_dir),
    ):
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
    """Restores the root logger, which Hydra sets up anew to print its information."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
