"""Bundles what a command's function needs: the experiment, where its run goes, and the console."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rexcli.cli import drawing
from rexcli.cli.console import Console
from rexcli.config.measured import runs_of
from rexcli.config.project import Project, find_project
from rexcli.config.schema import Experiment
from rexcli.errors import RexError

if TYPE_CHECKING:
    from rexcli.runs.rundir import Run
    from rexcli.runs.view import RunView
    from rexcli.system.system import System


@dataclass(frozen=True)
class Job:
    """One execution of one command on one experiment.

    Attributes:
        command: the command's name.
        experiment: the composed and checked experiment.
        project: where `nodes/` and `outputs/` are.
        console: where output goes.
        argv: the command line, program first.
        path: the run's folder, for a job of a sweep; None for a new folder named after the time.
    """

    command: str
    experiment: Experiment
    project: Project
    console: Console
    argv: tuple[str, ...] = ()
    path: Path | None = None

    def __post_init__(self) -> None:
        refuse_others(self.experiment, None if self.path is not None else self.command)

    def system(self) -> System:
        """Builds the experiment's system.

        Build it before `new_run`, so that a wrong declaration leaves no folder.
        """
        from rexcli.config.build import build_system

        return build_system(self.experiment, self.project)

    @cached_property
    def config_yaml(self) -> str:
        """The text of the run's config.yaml."""
        from rexcli.config.compose import config_yaml

        return config_yaml(self.experiment)

    def start_drawing(self) -> None:
        """Prepares the pictures of the run that this job will make, beside what it does before."""
        if self.experiment.distributed.coordinator is None:  # of several processes, one draws
            drawing.start(self.experiment.plots.pictures, self.project)

    def new_run(self, parents: Iterable[str | Path] = ()) -> Run:
        """Creates a run folder, to be used as a context manager.

        Args:
            parents: the runs that this one starts from.

        Raises:
            RexError: a picture that the experiment declares does not exist; found now, not after hours of training.
        """
        from rexcli.runs.rundir import Run

        posterior = runs_of(self.experiment.randomize.posterior if self.experiment.randomize else None)
        drawing.check(self.experiment.plots.pictures, self.project, self.experiment.origins)
        return Run.create(
            self.project.outputs,
            self.experiment.name,
            self.command,
            argv=self.argv,
            seed=self.experiment.seed,
            config_yaml=self.config_yaml,
            parents=[*parents, *runs_of(self.experiment.delays), *runs_of(self.experiment.params), *posterior],
            changes=self.experiment.changes,
            path=self.path,
            project=self.project.root,
        )


def refuse_others(experiment: Experiment, command: str | None) -> None:
    """Refuses several processes for any command other than a training (None: for a sweep).

    Raises:
        RexError: the experiment has a coordinator.
    """
    where = experiment.distributed.coordinator
    if where is None or command in ("train", "show"):
        return
    what = "a sweep" if command is None else f"rex {command}"
    others = "; the jobs of a sweep share machines by launcher=" if command is None else ""
    raise RexError(
        f"{experiment.origins.where('distributed.coordinator')}: distributed.coordinator={where}: several processes "
        f"serve `rex train`, not {what}; leave it out, or give distributed.coordinator=null{others}"
    )


def job_on_run(
    command: str, run: str, overrides: Sequence[str], console: Console, argv: Sequence[str] = ()
) -> tuple[Job, RunView]:
    """Returns a job on the experiment of an earlier run, for commands such as `eval` that take a run and not a `conf`.

    Args:
        run: a folder, `latest` or `latest:COMMAND`.
        overrides: changes to the run's own configuration.

    Raises:
        RexError: there is no such run, or its configuration is wrong.
    """
    from rexcli.config.compose import experiment_from_config
    from rexcli.runs.view import find_run

    project = find_project()
    view = find_run(run, project.outputs)
    experiment = experiment_from_config(view.config, str(view.path / "config.yaml"), overrides)
    return Job(command, experiment, project, console, tuple(argv)), view
