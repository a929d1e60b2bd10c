"""Sweeps: `-m`, by Hydra's sweepers and launchers, and `resume=SWEEP` for one that was stopped.

Hydra's sweeper decides which jobs there are, Hydra's launcher runs them. Between the two stands `Continuing`: it keeps
the list of jobs in `sweep.json` and hands on only those that are not done. So a new sweep and one that continues are
the same thing, whatever sweeper and launcher: a sweep of which all, or some, jobs are left.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from rexcli.cli import sweep
from rexcli.cli.console import Console, Result, shorten
from rexcli.cli.errors import describe, report
from rexcli.cli.job import refuse_others
from rexcli.cli.sweep_job import SweepJob, identity, is_choice
from rexcli.config import compose as composing
from rexcli.config.compose import compose, plain_config
from rexcli.config.mistakes import mistakes, one_line_errors
from rexcli.errors import RexError, RunError, Terminated
from rexcli.runs import provenance

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra

    from rexcli.cli.hydra import Task

NEEDS = {
    ("launcher", "joblib"): "joblib",
    ("launcher", "slurm"): "submitit",
    ("launcher", "slurm_local"): "submitit",
    ("launcher", "ray"): "ray",
    ("sweeper", "optuna"): "optuna",
}
"""The Hydra plugin behind a choice that comes with this package: `hydra_plugins.hydra_<plugin>_<group>`."""

EXTRAS = {"submitit": "slurm"}
"""Extras that are not called as their plugin is."""

MOST_CHECKED = 200
"""Jobs of a sweep that are composed beforehand to find mistakes before anything runs."""


def chosen(overrides: Sequence[str], app: Hydra, conf: str) -> list[str]:
    """Overrides with `launcher=…` and `sweeper=…` as Hydra takes them, whether or not `conf` names a default of theirs.

    Raises:
        RexError: for a choice whose plugin is not installed.
    """
    from hydra.types import RunMode

    groups = [override for override in overrides if override.partition("=")[0] in ("launcher", "sweeper")]
    if not groups:
        return list(overrides)
    defaults = app.config_loader.compute_defaults_list(conf, [], RunMode.MULTIRUN)
    given = []
    for override in overrides:
        group, _, choice = override.partition("=")
        if override in groups:
            plugin = NEEDS.get((group, choice))
            if plugin is not None and not _is_installed(f"hydra_{plugin}_{group}"):
                raise RexError(f"{override} needs: pip install 'rexcli[{EXTRAS.get(plugin, plugin)}]'")
            if override == "launcher=slurm" and which("srun") is None:
                raise RexError(f"{override}: there is no SLURM (srun) here; launcher=slurm_local tries a sweep without")
            override = override if group in defaults.overrides.known_choices else f"+{override}"
        given.append(override)
    return given


def _is_installed(plugin: str) -> bool:
    """Whether Hydra has this plugin; without any plugin there is not even the package of them."""
    return find_spec("hydra_plugins") is not None and find_spec(f"hydra_plugins.{plugin}") is not None


class Continuing(Launcher):
    """Stands between a sweeper and its launcher; hands on the jobs that are not done and reads the results of all.

    Args:
        inner: the launcher.
        folder: the sweep's.
        fragile: whether one process that dies takes the others with it, as in joblib's pool.
    """

    def __init__(self, inner: Launcher, folder: Path, fragile: bool):
        self._inner, self._folder, self._fragile = inner, folder, fragile
        self._taken: set[int] = set()

    def setup(self, **_: Any) -> None:
        """The inner launcher is set up already."""

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
        """Each job's number: that of a job with the same overrides which an earlier attempt noted, or a new one."""
        record = sweep.read_record(self._folder)
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
            sweep.write_record(self._folder, replace(record, jobs=tuple(map(tuple, jobs))))
        return numbers

    def _row(self, number: int) -> sweep.JobRow:
        return sweep.job_row(self._folder / str(number))

    def _run(self, jobs: Mapping[int, Sequence[str]]) -> None:
        """Launches; where a process died and took the pool with it, tries those that ran alone, then the rest."""
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
                    sweep.write_job(self._folder / str(number), identity(jobs[number]), "killed", error)
            ended = ("done", "failed", "interrupted")
            jobs = {n: job for n, job in jobs.items() if n not in died and self._row(n).status not in ended}

    def _hand_on(self, jobs: Mapping[int, Sequence[str]]) -> None:
        """Runs jobs in the folders of their numbers."""
        overrides = [[*job, f"hydra.sweep.subdir='{number}'"] for number, job in jobs.items()]
        returns = self._inner.launch(overrides, initial_job_idx=next(iter(jobs)))
        for number, returned in zip(jobs, returns, strict=True):
            if returned.status == JobStatus.FAILED and isinstance(returned._return_value, Exception):
                error = describe(returned._return_value)
                sweep.write_job(self._folder / str(number), identity(jobs[number]), "failed", error)


def run(task: Task, overrides: list[str], console: Console, sort: str | None = None) -> int:
    """A sweep, new or continued (`resume=SWEEP`); its table goes to the console and to `sweep.csv`, however it ends.

    Returns:
        The exit code.

    Raises:
        RexError: for whatever was typed or declared wrong.
    """
    wanted = [text.partition("=")[2] for text in overrides if text.startswith("resume=")]
    overrides = [text for text in overrides if not text.startswith("resume=")]
    if wanted:
        folder, record = _stored(task, wanted, overrides)
        choices = [text for text in overrides if is_choice(text)] or list(record.choices)
        task = replace(task, conf=record.conf, config_dir=record.config_dir)
        overrides = [*record.overrides, *choices]
    with composing.hydra(task.project, task.config_dir) as app, mistakes(task.project, task.conf, task.config_dir):
        conf = composing.conf_name(task.conf, task.project, task.config_dir)
        given = chosen(overrides, app, conf)
    experiments = [
        compose(task.conf, variant, project=task.project, config_dir=task.config_dir) for variant in variants(given)
    ]
    for experiment in experiments:
        refuse_others(experiment, None)
    config = plain_config(experiments[0])
    with composing.hydra(task.project, task.config_dir) as app, one_line_errors(task.project, task.conf):
        if wanted:
            _warn_of_changes(record.config, config, console)
            sweep.stop_file(folder, record.attempt).touch()
            record = record.begun_again()
        else:
            folder = sweep.new_folder(_new_place(task, conf, given, app, experiments[0].name))
            record = _new_record(task, overrides, config, experiments[0].name)
        sweep.write_record(folder, record)
        stopped: BaseException | None = None
        try:
            cfg = _compose(task, conf, given, app, folder)
            _launch(task, cfg, app, conf, folder, record.attempt, console)
        except (Exception, KeyboardInterrupt) as error:
            stopped = _blamed(error, folder)
    return _finish(task, folder, record.experiment, console, sort, stopped)


def _compose(task: Task, conf: str, given: list[str], app: Hydra, folder: Path | None) -> Any:
    from hydra.types import RunMode

    from rexcli.cli.hydra import settings

    translated = [*settings(given), *composing.translate(given, app), "hydra.mode=MULTIRUN"]
    if folder is not None:
        quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
        translated.append(f"hydra.sweep.dir='{quoted}'")
    return app.compose_config(conf, translated, RunMode.MULTIRUN)


def _new_place(task: Task, conf: str, given: list[str], app: Hydra, experiment: str) -> Path:
    if any(text.lstrip("+").startswith("hydra.sweep.dir=") for text in given):
        return Path(_compose(task, conf, given, app, None).hydra.sweep.dir).resolve()
    return task.project.outputs / experiment / task.command / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")


def _new_record(task: Task, overrides: list[str], config: Mapping[str, Any], experiment: str) -> sweep.SweepRecord:
    return sweep.SweepRecord(
        command=task.command,
        experiment=experiment,
        conf=task.conf,
        config_dir=None if task.config_dir is None else str(Path(task.config_dir).resolve()),
        overrides=tuple(text for text in overrides if not is_choice(text)),
        choices=tuple(text for text in overrides if is_choice(text) and not text.startswith("hydra.sweep.dir=")),
        config=config,
        started=datetime.now().astimezone().isoformat(timespec="milliseconds"),
    )


def _stored(task: Task, wanted: list[str], overrides: list[str]) -> tuple[Path, sweep.SweepRecord]:
    """The sweep to continue.

    Raises:
        RexError: there is none, it still runs, or what was typed is not what it was made with.
    """
    if len(wanted) > 1:
        raise RexError(f"resume={','.join(wanted)}: give one sweep")
    folder = sweep.find_sweep(wanted[0].strip("'\""), task.project.outputs, task.command).resolve()
    record = sweep.read_record(folder)
    own = [text for text in overrides if not is_choice(text)]
    where = f"resume={wanted[0]}"
    if record.command != task.command:
        raise RexError(f"{where}: this is a sweep of '{record.command}'; say rex {record.command} -m {where}")
    if task.conf not in (None, record.conf):
        made = "no conf" if record.conf is None else f"conf={record.conf}"
        raise RexError(f"{where}: this sweep was made with {made}; leave out conf={task.conf}")
    if own and sorted(own) != sorted(record.overrides):
        different = [text for text in own if text not in record.overrides]
        raise RexError(
            f"{where}: this sweep was made with {' '.join(record.overrides) or 'no overrides'}; leave out "
            f"{' '.join(different) or 'all overrides'}, or start a new sweep"
        )
    if record.process is not None and record.is_alive():
        raise RexError(f"{where}: this sweep still runs, as process {record.process['pid']}; wait, or stop it first")
    running = [str(row.number) for row in sweep.collect(folder) if row.status == "running"]
    if running:
        raise RexError(f"{where}: of this sweep still runs job {', '.join(running)}; wait until it has ended")
    return folder, record


def _warn_of_changes(before: Mapping[str, Any], now: Mapping[str, Any], console: Console) -> None:
    """Says in what the YAML files say something else than when the sweep was started."""
    old, new = _flat(before), _flat(now)
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key) and key != "compile.devices"]
    if changed:
        shown = ", ".join(f"{key} {old.get(key)} -> {new.get(key)}" for key in changed[:3])
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        console.warn(f"the configuration has changed since this sweep was started: {shown}{more}; done jobs stay as is")


def _flat(config: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(config, Mapping):
        return {prefix: config}
    return {
        path: leaf
        for key, value in config.items()
        for path, leaf in _flat(value, f"{prefix}.{key}" if prefix else str(key)).items()
    }


def _launch(task: Task, cfg: Any, app: Hydra, conf: str, folder: Path, attempt: int, console: Console) -> None:
    """Hydra's multirun, with `Continuing` before the launcher."""
    from hydra._internal.callbacks import Callbacks
    from hydra.core.plugins import Plugins
    from hydra.types import HydraContext
    from omegaconf import OmegaConf

    launcher = str(cfg.hydra.launcher._target_)
    inside, fragile = launcher.endswith(".BasicLauncher"), launcher.endswith(".JoblibLauncher")
    given: Any = OmegaConf.to_container(cfg.hydra.overrides.task, resolve=False)
    keys = tuple(override.key_or_group for override in composing.parse(given) if override.is_sweep_override())
    job = SweepJob(task, attempt, inside, provenance.this_process() if fragile else None, keys)
    callbacks = Callbacks(cfg)
    callbacks.on_multirun_start(config=cfg, config_name=conf)
    context = HydraContext(config_loader=app.config_loader, callbacks=callbacks)
    plugins: Any = Plugins.instance()
    with _launchers_wrapped(plugins, lambda inner: Continuing(inner, folder, fragile)):
        sweeper = plugins.instantiate_sweeper(config=cfg, hydra_context=context, task_function=job)
    for talkative, level in (("optuna", logging.WARNING), ("hydra_plugins", logging.ERROR)):
        logging.getLogger(talkative).setLevel(level)
    if hasattr(sweeper, "validate_batch_is_legal"):  # composes every job once more; `variants` has seen every value
        sweeper.validate_batch_is_legal = lambda _: None
    with _stopped_in_order(folder, attempt, console, inside):
        sweeper.sweep(arguments=given)
    callbacks.on_multirun_end(config=cfg, config_name=conf)


def _blamed(error: BaseException, folder: Path) -> BaseException:
    """`error`, or where a sweeper that compares jobs had nothing to compare, that."""
    rows = sweep.collect(folder)
    ended = all(row.status in ("done", "failed") and row.objective is None for row in rows)
    if isinstance(error, ValueError) and rows and ended:
        return RunError("no job gave the sweeper a number to go by: all failed, or the command has no objective")
    return error


@contextmanager
def _launchers_wrapped(plugins: Any, wrap: Callable[[Launcher], Launcher]) -> Iterator[None]:
    """While the block runs, whoever asks Hydra for a launcher gets it wrapped: every sweeper does in its `setup`."""
    original = plugins.instantiate_launcher
    plugins.instantiate_launcher = lambda **given: wrap(original(**given))
    try:
        yield
    finally:
        del plugins.instantiate_launcher


@contextmanager
def _stopped_in_order(folder: Path, attempt: int, console: Console, inside: bool) -> Iterator[None]:
    """Ctrl-C or SIGTERM first lets jobs in other processes end, so that they keep what they made; the next does not."""
    if inside or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: Any) -> None:
        restore()
        sweep.stop_file(folder, attempt).touch()
        console.note("stopping: jobs that run are interrupted and kept; Ctrl-C again to wait no longer")
        while any(row.status == "running" for row in sweep.collect(folder)):
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


def _finish(
    task: Task, folder: Path, experiment: str, console: Console, sort: str | None, stopped: BaseException | None
) -> int:
    """The table, `sweep.csv` and the picture."""
    rows = sweep.collect(folder)
    sweep.write_record(folder, replace(sweep.read_record(folder), process=None))
    sweep.write_csv(folder, rows)
    with suppress(RexError):
        from rexcli.plot import draw_run

        draw_run(sweep.SweepView(folder), folder / "plots", ["sweep"])
    try:
        table = sweep.shown(rows, sort)
    except RexError as error:
        console.warn(str(error))
        table = sweep.shown(rows)
    console.finish(Result(tables=[table], path=folder), command=task.command, experiment=experiment)
    left = sum(row.status != "done" for row in rows)
    if left:
        console.note(
            f"{left} of {len(rows)} jobs are not done; rex {task.command} -m resume={shorten(folder)} makes them again"
        )
    if stopped is not None:
        return report(stopped)
    return 1 if left or not rows else 0


def variants(overrides: Sequence[str]) -> Iterator[list[str]]:
    """The single runs that show every value of a sweep at least once, so that mistakes are found before it starts.

    Sweeps over intervals, which only some sweepers know, are left at what the YAML files say.
    """
    choices: list[list[str]] = []
    for text, override in zip(overrides, composing.parse(overrides), strict=True):
        if not override.is_sweep_override():
            choices.append([text])
        elif override.is_discrete_sweep() and "glob(" not in text:
            key = override.get_key_element()
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
    first = [values[0] for values in choices]
    yield first
    left = MOST_CHECKED
    for index, values in enumerate(choices):
        for value in values[1:left]:
            yield [*first[:index], value, *first[index + 1 :]]
        left -= len(values)
        if left <= 1:
            return
