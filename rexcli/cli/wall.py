"""Implements `rex record clock=wall`: runs the system in real time, shows its punctuality, and records everything."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from rexcli import pipeline
from rexcli.cli.console import Console, is_terminal, shorten
from rexcli.cli.job import Job
from rexcli.cli.results import draw, write_drawn
from rexcli.errors import RexError, RunError, Terminated, WriteError
from rexcli.runs.recording import read_recording
from rexcli.runs.result import Result, Table, cell
from rexcli.runs.rundir import Run
from rexcli.runtime.wall.emulation import overrun_warnings
from rexcli.runtime.wall.episode import Episode
from rexcli.runtime.wall.latency import Punctuality
from rexcli.runtime.wall.realtime import why_no_priority
from rexcli.runtime.wall.session import Outcome
from rexcli.runtime.wall.wall_clock import SHARE_SECONDS
from rexcli.system.call import StepFunction
from rexcli.system.random_values import random_values
from rexcli.system.system import System
from rexcli.timeline.arrays import to_arrays

COLUMNS = (
    "node",
    "ticks",
    "rate (Hz)",
    "of (Hz)",
    "late p50 (ms)",
    "late p99 (ms)",
    "late max (ms)",
    "missed",
    "age p50 (ms)",
    "age max (ms)",
    "busy (%)",
)
SHORT = ("node", "ticks", "rate (Hz)", "late (ms)", "missed", "age (ms)", "busy (%)")
SHORT_TITLE = "late: p50/p99/max after the rules let a step start; age of what it reads: p50/max"
"""The meaning of the columns of the table that fits a terminal."""
LIVE_EVERY = 0.5
"""Seconds between two tables in a terminal."""
NEARLY_ALWAYS = 0.9
"""Share of the time that a node computes above which it is too slow for its rate."""
PLAIN_EVERY = 5.0
"""Seconds between two lines without a terminal."""


def record_wall(job: Job, system: System, controller: StepFunction | None, parents: Sequence[Path]) -> Result:
    """Writes `recording.mcap`, and from it `timeline.npz`, `lateness.npz` and the pictures, however the run ends."""
    experiment = job.experiment
    pipeline.check_wall(experiment, system)
    missing = why_no_priority(experiment.wall.priority)
    if missing is not None:
        job.console.warn(missing)
    with job.new_run(parents) as run:
        info = {"experiment": experiment.name, "clock": "wall"}
        with run.recording(system.timing, info) as writer:
            with LiveView(job.console, experiment.record.episodes) as view:

                def watch(episode: Episode) -> None:
                    view.show(episode)
                    if writer.failed:
                        view.warn_once(f"{writer.failed}; the robot goes on")

                outcome = pipeline.record_wall(experiment, system, writer=writer, controller=controller, watch=watch)
            writer.close(complete=True)
        values = _keep(run, job, system, outcome)
        for failure in outcome.stop_failures:
            job.console.warn(f"stop failed: {failure}")
        table = Table(SHORT_TITLE, SHORT, [short_row(each) for each in outcome.punctuality])
        if job.console.as_json:
            table = Table("punctuality", COLUMNS, [row(each) for each in outcome.punctuality])
        if outcome.error is not None:
            job.console.table(table)
            job.console.note(f"what was recorded: {shorten(run.path)}")
        outcome.check()
        if writer.failed:
            raise RunError(writer.failed)
    missed = [said for each in outcome.punctuality if (said := missed_ticks(each)) is not None]
    slow = overrun_warnings(outcome.overruns, {each.node: each.ticks for each in outcome.punctuality})
    if missed and (alone := quick_alone(system, outcome.punctuality)):
        missed.append(alone)
    return Result(values=values, path=run.path, tables=[table], warnings=[*missed, *slow])


def missed_ticks(each: Punctuality) -> str | None:
    """Returns a warning that a node missed ticks, with the cause that its times suggest; None if it missed none."""
    if not each.missed:
        return None
    said = f"node '{each.node}' missed {each.missed} of {each.missed + each.ticks} ticks at {each.declared:g} Hz: "
    if each.busy > NEARLY_ALWAYS:
        return f"{said}its steps take {each.busy:.0%} of the time; lower its rate, or make its step faster"
    if each.late_max > 0.5 / each.declared:
        return (
            f"{said}its steps were ready, and this machine started them up to {each.late_max * 1e3:.3g} ms late; let "
            "less run beside it, or see wall.priority"
        )
    return f"{said}what it waits for came too late; look at the nodes that its blocking inputs come from"


def quick_alone(system: System, punctuality: Sequence[Punctuality]) -> str | None:
    """Returns a hint for nodes of plain Python with quick steps in threads of their own; None without such nodes."""
    quick = [
        each.node
        for each in punctuality
        if not system.nodes[each.node].jit
        and system.specs[each.node].thread == "auto"
        and each.busy / each.declared <= SHARE_SECONDS
    ]
    if len(system.nodes) == 1 or not quick:
        return None
    return (
        f"quick steps in threads of their own: {', '.join(quick)}; threads wait for one another at Python's "
        f"interpreter, so where a step never blocks, share one: nodes.{quick[0]}.thread=shared"
    )


class LiveView:
    """Shows how punctual the nodes are while they run: a table in a terminal, else a line every few seconds."""

    def __init__(self, console: Console, episodes: int):
        self._console = console
        self._episodes = episodes
        self._terminal = is_terminal(console.stderr)
        self._shown = time.monotonic()
        self._live: Any = None
        self._warned: set[str] = set()

    def __enter__(self) -> Self:
        if self._terminal and not self._console.quiet:
            from rich.console import Console as Rich
            from rich.live import Live

            self._live = Live(console=Rich(file=self._console.stderr), auto_refresh=False, transient=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, episode: Episode) -> None:
        """Shows the current state if it is time to."""
        every = LIVE_EVERY if self._terminal else PLAIN_EVERY
        if self._console.quiet or time.monotonic() - self._shown < every:
            return
        self._shown = time.monotonic()
        punctuality = episode.punctuality()
        if self._live is None:
            self._console.note(self._head(episode) + ": " + "; ".join(line(each) for each in punctuality))
            return
        from rich import box
        from rich.table import Table as RichTable

        title = f"{self._head(episode)}\n{SHORT_TITLE}"
        table = RichTable(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        for column in SHORT:
            table.add_column(column, justify="left" if column == "node" else "right")
        for each in punctuality:
            table.add_row(*(cell(value) for value in short_row(each)))
        if not self._live.is_started:
            self._live.start()
        self._live.update(table, refresh=True)

    def warn_once(self, text: str) -> None:
        """Prints a warning at once, and only once."""
        if text not in self._warned:
            self._warned.add(text)
            self._console.warn(text)

    def _head(self, episode: Episode) -> str:
        number = f"episode {episode.number + 1} of {self._episodes}, " if self._episodes > 1 else ""
        return f"wall clock, {number}{episode.seconds:.1f} s, {episode.steps_done} steps"


def row(each: Punctuality) -> list[Any]:
    """Returns a node's cells for the columns `COLUMNS`."""
    late = (each.late_p50, each.late_p99, each.late_max)
    ages = (each.age_p50, each.age_max)
    rates = (None if np.isnan(each.rate) else round(each.rate, 2), each.declared)
    milliseconds = [[None if np.isnan(value) else round(value * 1e3, 3) for value in group] for group in (late, ages)]
    busy = None if np.isnan(each.busy) else round(each.busy * 100, 1)
    return [each.node, each.ticks, *rates, *milliseconds[0], each.missed, *milliseconds[1], busy]


def short_row(each: Punctuality) -> list[Any]:
    """Returns a node's cells for the columns `SHORT`."""
    node, ticks, rate, declared, *late, missed, age_p50, age_max, busy = row(each)
    lates, ages = ("/".join(cell(value) for value in values) for values in (late, (age_p50, age_max)))
    return [node, ticks, f"{cell(rate)}/{cell(declared)}", lates, missed, "-" if age_p50 is None else ages, busy]


def line(each: Punctuality) -> str:
    """Describes a node's punctuality in a few words."""
    late = "/".join(f"{value * 1e3:.3g}" for value in (each.late_p50, each.late_p99, each.late_max))
    missed = f", {each.missed} missed" if each.missed else ""
    age = "" if np.isnan(each.age_p50) else f", sees {each.age_p50 * 1e3:.3g} ms old"
    return f"{each.node} {each.rate:.4g} Hz, late {late} ms{age}{missed}"


def _keep(run: Run, job: Job, system: System, outcome: Outcome) -> Mapping[str, Any]:
    """Writes what can be written; a full disk, or a run that ended at once, leaves some of it out.

    Raises:
        WriteError: a file cannot be written, and nothing worse has happened.
    """
    worst = [each.late_p99 for each in outcome.punctuality if not np.isnan(each.late_p99)]
    values = {
        "episodes": outcome.episodes,
        "steps": outcome.steps,
        **pipeline.engines(system, "wall"),
        "wall s": outcome.seconds,
        "late p99 (ms)": max(worst) * 1e3 if worst else None,
        "missed": sum(each.missed for each in outcome.punctuality),
    }
    run.add_result("punctuality", [dict(zip(COLUMNS, row(each), strict=True)) for each in outcome.punctuality])
    for key, value in values.items():
        run.add_result(key, value)
    try:
        late = {name: np.array(times, np.int64) for name, times in outcome.lateness.items()}
        run.write_arrays("lateness.npz", late)
        run.write_arrays("timeline.npz", to_arrays(read_recording(run.path / "recording.mcap").timeline()))
        write_drawn(run, random_values(system, job.experiment.seed, range(outcome.episodes)))
        if not isinstance(outcome.error, Terminated):
            draw(run, values, system, job.project)
    except (RexError, OSError) as error:
        if isinstance(error, WriteError) and outcome.error is None and not outcome.stop_failures:
            raise
        logging.getLogger("rex.wall").warning("%s", error)
        job.console.warn(str(error))
    return values
