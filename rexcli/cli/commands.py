"""Declares the commands of `rex` and their arguments.

A command on an experiment is one `_experiment_command` line here and one module with one function of the command's
name, `(Job) -> Result`; the module is imported when the command runs, so that `rex --help` needs none of it. A command
on runs is a function here that says what it takes and calls its module.
"""

from __future__ import annotations

import inspect
import os
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rexcli import signals
from rexcli.cli import errors
from rexcli.cli.console import Console, width
from rexcli.cli.examples import epilog
from rexcli.errors import RexError


class Commands(TyperGroup):
    """The help of `rex` in plain text, by panel.

    Rich, which draws the help of single commands, takes longer to import than everything else that `rex --help` does.
    """

    def format_help(self, context: Any, formatter: Any) -> None:
        self.rich_markup_mode = None
        formatter.width = min(formatter.width, max(20, width() - 2))  # Click's formatter takes at least 50
        super().format_help(context, formatter)

    def format_commands(self, context: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(context):
            command: Any = self.get_command(context, name)
            panels.setdefault(command.rich_help_panel, []).append((name, command.get_short_help_str(200)))
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl(rows)


app = typer.Typer(
    name="rex",
    cls=Commands,
    help="Delay-aware robot learning: declare a system in YAML, record it, compile it, roll it out, train on it.",
    epilog="Any key of an experiment is KEY=VALUE on the command line, in Hydra's grammar: seed=7 ppo.lr=1e-4",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

HYDRA = "Hydra"


def _complete(context: typer.Context, incomplete: str) -> list[str]:
    from rexcli.cli.complete import complete

    return complete(context.params.get("overrides") or [], incomplete)


def _complete_pictures(incomplete: str) -> list[str]:
    from rexcli.cli.complete import complete_pictures

    return complete_pictures(incomplete)


Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="The experiment, as conf=NAME, and Hydra overrides.",
        show_default=False,
        autocompletion=_complete,
    ),
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, latest, or latest:COMMAND.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the run's folder alone.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object; all else goes to stderr.")]
Multirun = Annotated[
    bool, typer.Option("--multirun", "-m", help="Sweep: KEY=A,B runs one job a value.", rich_help_panel=HYDRA)
]
Cfg = Annotated[
    str | None,
    typer.Option(
        "--cfg", "-c", metavar="job|hydra|all", help="Print the configuration and stop.", rich_help_panel=HYDRA
    ),
]
Resolve = Annotated[bool, typer.Option("--resolve", help="With --cfg: interpolations resolved.", rich_help_panel=HYDRA)]
Package = Annotated[
    str | None,
    typer.Option("--package", "-p", metavar="KEY", help="With --cfg: only this part.", rich_help_panel=HYDRA),
]
Info = Annotated[
    str | None,
    typer.Option(
        "--info", "-i", metavar="[all|…]", help="Print what Hydra composes from, and stop.", rich_help_panel=HYDRA
    ),
]
ConfigDir = Annotated[
    str | None,
    typer.Option("--config-dir", "-cd", metavar="DIR", help="One more folder of YAML files.", rich_help_panel=HYDRA),
]
ConfigName = Annotated[
    str | None,
    typer.Option("--config-name", "-cn", metavar="NAME", help="The same as conf=NAME.", rich_help_panel=HYDRA),
]
Sort = Annotated[
    str | None,
    typer.Option("--sort", metavar="RESULT", help="With -m: the table by this, highest last.", rich_help_panel=HYDRA),
]


DryRun = Annotated[
    bool, typer.Option("--dry-run", help="With clock=wall: check all that can be without starting or stepping a robot.")
]


def _experiment_command(name: str, help: str, panel: str) -> None:
    """Registers `rex NAME [conf=…] [KEY=VALUE]…`, which calls `rexcli.cli.NAME.NAME(job)`."""

    def command(
        context: typer.Context,
        overrides: Overrides = None,
        quiet: Quiet = False,
        as_json: Json = False,
        multirun: Multirun = False,
        cfg: Cfg = None,
        resolve: Resolve = False,
        package: Package = None,
        info: Info = None,
        config_dir: ConfigDir = None,
        config_name: ConfigName = None,
        sort: Sort = None,
        dry_run: bool = False,
    ) -> None:
        if name == "show" and overrides and _names_run(overrides[0]):
            from rexcli.cli.show_run import show_run

            Console(quiet, as_json).finish(show_run(*overrides), command=name)
            return
        from rexcli.cli import hydra_app

        if dry_run and multirun:
            raise RexError("command line: --dry-run: it checks one configuration; leave out -m")
        flags = hydra_app.Flags(multirun, cfg, resolve, package, info, config_dir, config_name, sort)
        console = Console(quiet, as_json)
        module = "rexcli.cli.dry_run" if dry_run else f"rexcli.cli.{name}"
        try:
            words = [f"from={word}" if name == "identify" and "=" not in word else word for word in overrides or []]
            code = hydra_app.run(name, module, words, flags, console, context.obj)
        except KeyboardInterrupt as error:  # Typer would silently exit with 130 for each of them
            code = errors.report(error)
        raise typer.Exit(code)

    signature = inspect.signature(command, eval_str=True)
    given = [each for each in signature.parameters.values() if each.name != "dry_run" or name == "record"]
    given = [each.replace(annotation=DryRun) if each.name == "dry_run" else each for each in given]
    command.__signature__ = signature.replace(parameters=given)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in given}
    app.command(name, help=help, rich_help_panel=panel)(command)


def _names_run(word: str) -> bool:
    """Returns whether a word after `rex show` is a run, not an override `key=value`, `+key=value` or `~key`."""
    return ("=" not in word and not word.startswith("~")) or os.path.isdir(word)


EXPERIMENT = "On an experiment"
_experiment_command(
    "show", "The system as tables, and what looks wrong with it; or with a RUN, that run's story.", EXPERIMENT
)
_experiment_command("record", "Run the system against a clock and keep everything.", EXPERIMENT)
_experiment_command("compile", "From a recording (from=RUN) or a simulated timeline to a program.", EXPERIMENT)
_experiment_command("rollout", "Many episodes in parallel from the compiled program.", EXPERIMENT)
_experiment_command(
    "identify", "Parameters and delays that reproduce a recording: rex identify RUN, for params=RUN.", EXPERIMENT
)
_experiment_command("train", "PPO on the environment, several seeds in parallel.", EXPERIMENT)


@app.command("import", rich_help_panel=EXPERIMENT)
def import_log(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A ROS 2 bag, MCAP, LeRobot dataset, Parquet or CSV; or its folder.")
    ],
    overrides: Overrides = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """A log that another program wrote becomes a run, as the experiment's import section says."""
    from rexcli.cli.import_log import import_log

    console = Console(quiet, as_json)
    console.finish(import_log(file, overrides or [], console, context.obj), command="import")


@app.command("eval", rich_help_panel="On runs")
def evaluate(
    context: typer.Context,
    run: RunArgument,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Changes to the run's own experiment.")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Evaluate a trained policy from fresh starts."""
    with signals.postponed():
        from rexcli.cli.eval import evaluate_run

    console = Console(quiet, as_json)
    console.finish(evaluate_run(run, overrides or [], console, context.obj), command="eval")


@app.command("fit", rich_help_panel="On runs")
def fit(
    context: typer.Context,
    run: RunArgument,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help=r"Such as fit.families=\[gamma,mixture].")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fit distributions to the delays of a recording, for delays=RUN."""
    from rexcli.cli.fit import fit_run

    console = Console(quiet, as_json)
    console.finish(fit_run(run, overrides or [], console, context.obj), command="fit")


@app.command("plot", rich_help_panel="On runs")
def plot(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN|PICTURE",
            help="Folders (a sweep's too), latest or latest:COMMAND; pictures, as training. Default: latest, all.",
            autocompletion=_complete_pictures,
            show_default=False,
        ),
    ] = None,
    out: Annotated[str | None, typer.Option("--out", metavar="DIR", help="Where to; default: RUN/plots.")] = None,
    episode: Annotated[int, typer.Option(help="Of the recording or timeline.")] = 0,
    start: Annotated[float, typer.Option(help="Where the data flow begins, s.")] = 0.0,
    max_seconds: Annotated[
        float | None,
        typer.Option(help="How much of the data flow to show, s; half a second, or 40 steps if that is less."),
    ] = None,
    mode: Annotated[str, typer.Option(metavar="arrival|usage", help="Where the arrows of messages end.")] = "arrival",
    field: Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="Trajectories, as world/state/*.")] = None,
    metric: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Of metrics.csv, or a sweep's.")] = None,
    key: Annotated[list[str] | None, typer.Option(metavar="KEY", help="Swept keys to show.")] = None,
    max_rows: Annotated[int, typer.Option(help="Quantities in one picture.")] = 12,
    format: Annotated[str, typer.Option(metavar="png|svg|pdf", help="Of pictures that do not move.")] = "png",
    group: Annotated[
        str, typer.Option(metavar="auto|class|none", help="Which nodes are drawn as one; auto: of more than 24.")
    ] = "auto",
    show: Annotated[bool, typer.Option("--show", help="Open them in this machine's viewer.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Draw again while the run goes on.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Draw pictures of a run, or of several overlaid."""
    from rexcli.cli.plot import plot_runs

    console = Console(quiet, as_json)
    result = plot_runs(
        words or [],
        out,
        console,
        show=show,
        watch=watch,
        episode=episode,
        start=start,
        max_seconds=max_seconds,
        mode=mode,
        fields=tuple(field or ()),
        metrics=tuple(metric or ()),
        keys=tuple(key or ()),
        max_rows=max_rows,
        format=format,
        group=group,
    )
    console.finish(result, command="plot")


@app.command("report", rich_help_panel="On runs")
def report(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN", help="Folders (a sweep's too), latest or latest:COMMAND.")
    ],
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="Where to; default: RUN/report.html, of several outputs/reports/."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Open it in the browser.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write one HTML page of runs that needs nothing else: curves, tables, pictures, configuration."""
    from rexcli.cli.report import report_runs

    result = report_runs(runs, out)
    if show and result.path is not None:
        from rexcli.cli.viewer import show_files

        show_files([result.path])
    Console(quiet, as_json).finish(result, command="report")


@app.command("ls", rich_help_panel="On runs")
def ls(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FOLDER|FILTER",
            help="Only the runs in this folder, or a sweep; such as status=done 'hold>0.9' since=2d ppo.lr=1e-3.",
            show_default=False,
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option("--sort", metavar="RESULT", help="Highest last; also started, or ppo.lr."),
    ] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="NAME,…", help="Which results; all; default: as many as fit.")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """List runs with their results. --quiet prints their folders alone."""
    from rexcli.cli.ls import list_results

    Console(quiet, as_json).finish(list_results(words or [], sort, columns, as_json), command="ls")


@app.command("diff", rich_help_panel="On runs")
def diff(
    first: RunArgument,
    second: RunArgument,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """In what two runs differ: provenance, configuration and results."""
    from rexcli.cli.show_run import compare_runs

    Console(quiet, as_json).finish(compare_runs(first, second), command="diff")


@app.command("export", rich_help_panel="On runs")
def export(
    run: RunArgument,
    to: Annotated[
        str, typer.Option("--to", metavar="FORM", help="csv, npz, parquet, rosbag2, lerobot (v3.0) or lerobot2 (v2.1).")
    ] = "csv",
    out: Annotated[str | None, typer.Option("--out", metavar="DIR", help="Where to; default: RUN/csv, …")] = None,
    storage: Annotated[
        str | None, typer.Option("--storage", metavar="mcap|sqlite3", help="Of a bag; default: mcap.")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write a run for other programs: tables, arrays, a ROS 2 bag or a LeRobot dataset."""
    from rexcli.cli.export import export_run

    Console(quiet, as_json).finish(export_run(run, to, out, storage), command="export")


@app.command("init", rich_help_panel="Projects")
def init(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Where to start the project.")] = ".",
    example: Annotated[
        str | None,
        typer.Option(
            "--example",
            metavar="NAME",
            help="Copy a system that comes with rex: pendulum, cartpole, quadrotor, platoon, arm.",
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Start a project: an experiment, its nodes, a task, tests, a README."""
    from rexcli.cli.init import start_project

    Console(quiet, as_json).finish(start_project(folder, example), command="init")


@app.command("new", rich_help_panel="Projects")
def new(
    kind: Annotated[str, typer.Argument(metavar="node|task", help="What to add.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the module in nodes/, such as wheel_motor.")],
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Add a commented node or task to the project, and say which YAML declares it."""
    from rexcli.cli.init import add_page

    Console(quiet, as_json).finish(add_page(kind, name), command="new")


@app.command("doctor", rich_help_panel="Projects")
def doctor(quiet: Quiet = False, as_json: Json = False) -> None:
    """What this machine offers (Python, JAX, devices, clock, disk, extras), and what to do about what it lacks."""
    from rexcli.cli.doctor import examine

    Console(quiet, as_json).finish(examine(), command="doctor")


for _command in app.registered_commands:
    _command.epilog = epilog(str(_command.name))


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(f"rex {version('rexcli')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    profile: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Of any command, anywhere: print where time goes, and write a trace of it."),
    ] = None,
) -> None:
    pass  # `main` has taken --profile from the words
