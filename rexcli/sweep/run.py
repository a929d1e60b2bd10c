"""Runs `-m`: a sweep from its overrides to its table, new or resumed (`resume=SWEEP`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rexcli.config import compose as composing
from rexcli.config.compose import plain_config
from rexcli.config.composition_errors import composition_errors, one_line_errors
from rexcli.config.schema import Experiment
from rexcli.errors import RexError, RunError
from rexcli.runs import storage
from rexcli.sweep.folder import JobRow, SweepRecord, collect, new_sweep, read_record, stop_file, write_record
from rexcli.sweep.jobs import Command
from rexcli.sweep.launcher import launch
from rexcli.sweep.overrides import chosen, identity, is_choice, settings, variants
from rexcli.sweep.resume import changes, stored
from rexcli.sweep.table import SweepView, write_csv

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra


@dataclass(frozen=True)
class Ended:
    """The outcome of a sweep.

    Attributes:
        folder: the folder of the sweep.
        experiment: the experiment's name.
        jobs: the status and the results of each job.
        stopped: the exception that ended it early; None if there was none.
    """

    folder: Path
    experiment: str
    jobs: Sequence[JobRow]
    stopped: BaseException | None = None


def run(command: Command, overrides: Sequence[str]) -> Ended:
    """Runs a sweep, new or resumed; writes `sweep.csv` and a picture, however it ends.

    Args:
        command: the command to repeat.
        overrides: the overrides as typed; `resume=SWEEP` for a stopped sweep.

    Raises:
        RexError: for any mistake in what was typed or declared.
    """
    wanted = [text.partition("=")[2] for text in overrides if text.startswith("resume=")]
    overrides = [text for text in overrides if not text.startswith("resume=")]
    conf, config_dir = command.conf, command.config_dir
    if wanted:
        folder, record = stored(command, wanted, overrides)
        conf, config_dir = record.conf, record.config_dir
        choices = [text for text in overrides if is_choice(text)] or list(record.choices)
        overrides = [*record.overrides, *choices]
        command = command.on(conf, config_dir)
    with composing.hydra(command.project, config_dir) as app, composition_errors(command.project, conf, config_dir):
        name = composing.conf_name(conf, command.project, config_dir)
        given = chosen(overrides, app, name)
        composed = {
            tuple(identity(variant)): composing.compose_by(app, name, variant, command.project)
            for variant in variants(given)
        }
    for experiment in composed.values():
        command.check(experiment)
    first = next(iter(composed.values()))
    config = plain_config(first)
    with composing.hydra(command.project, config_dir) as app, one_line_errors(command.project, conf):
        if wanted:
            if changed := changes(record.config, config):
                command.warn(changed)
            stop_file(folder, record.attempt).touch()
            record = record.begun_again()
            write_record(folder, record)
        else:
            record = _record(command, overrides, config, first)
            folder = new_sweep(_places(command, name, given, app, record.experiment), record)
        stopped: BaseException | None = None
        try:
            launch(command, _compose(name, given, app, folder), app, name, folder, record.attempt, composed)
        except (Exception, KeyboardInterrupt) as error:
            stopped = _blamed(error, folder)
    jobs = collect(folder)
    write_record(folder, replace(read_record(folder), process=None))
    write_csv(folder, jobs)
    with suppress(RexError):
        from rexcli.plot import draw_run

        draw_run(SweepView(folder), folder / "plots", ["sweep"])
    return Ended(folder, record.experiment, jobs, stopped)


def _compose(conf: str, given: Sequence[str], app: Hydra, folder: Path | None) -> Any:
    """Returns what Hydra composes for the sweep as a whole; without `folder`, the given folder is not changed."""
    from hydra.types import RunMode

    translated = [*settings(given), *composing.translate(given, app), "hydra.mode=MULTIRUN"]
    if folder is not None:
        quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
        translated.append(f"hydra.sweep.dir='{quoted}'")
    return app.compose_config(conf, translated, RunMode.MULTIRUN)


def _places(command: Command, conf: str, given: Sequence[str], app: Hydra, experiment: str) -> Iterator[Path]:
    if any(text.lstrip("+").startswith("hydra.sweep.dir=") for text in given):
        return storage.numbered(Path(_compose(conf, given, app, None).hydra.sweep.dir).resolve())
    return storage.places(command.project.outputs, experiment, command.name)


def _record(
    command: Command, overrides: Sequence[str], config: Mapping[str, Any], experiment: Experiment
) -> SweepRecord:
    return SweepRecord(
        command=command.name,
        experiment=experiment.name,
        conf=command.conf,
        config_dir=None if command.config_dir is None else str(Path(command.config_dir).resolve()),
        overrides=tuple(text for text in overrides if not is_choice(text)),
        choices=tuple(text for text in overrides if is_choice(text) and not text.startswith("hydra.sweep.dir=")),
        config=config,
        started=datetime.now().astimezone().isoformat(timespec="milliseconds"),
    )


def _blamed(error: BaseException, folder: Path) -> BaseException:
    """Returns `error`, or a clearer one if a sweeper that compares jobs by their objective had none to compare."""
    rows = collect(folder)
    ended = all(row.status in ("done", "failed") and row.objective is None for row in rows)
    if isinstance(error, ValueError) and rows and ended:
        return RunError("no job gave the sweeper a number to go by: all failed, or the command has no objective")
    return error
