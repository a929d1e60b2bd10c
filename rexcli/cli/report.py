"""Implements `rex report RUN…`: writes a self-contained HTML page of runs. It only reads data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rexcli.cli.show_run import artifact_rows, facts_of
from rexcli.config.project import find_project
from rexcli.errors import RexError
from rexcli.report import Entry, render
from rexcli.runs.result import Result
from rexcli.runs.storage import write_atomic
from rexcli.runs.view import RunView, find_run
from rexcli.sweep.folder import JobRow, collect, is_sweep, read_record


def report_runs(runs: Sequence[str], out: str | None) -> Result:
    """Writes the page.

    Args:
        runs: folders of runs or sweeps, `latest` or `latest:COMMAND`; a sweep stands for its jobs.
        out: the file; None for `report.html` in the run or sweep, or `outputs/reports/<time>.html` for several.
    """
    outputs = find_project().outputs
    entries: list[Entry] = []
    extra: dict[str, bytes] = {}
    places: list[Path] = []
    for text in runs:
        sweep = next((path for path in (Path(text), outputs / text) if is_sweep(path)), None)
        if sweep is None:
            view = find_run(text, outputs)
            entries.append(_run(view, _name(view.path, outputs) if len(runs) > 1 else view.path.name))
            places.append(view.path)
        else:
            name = f"{_name(sweep, outputs)}/" if len(runs) > 1 else ""
            entries += [_job(sweep, row, name) for row in collect(sweep)]
            places.append(sweep)
            picture = sweep / "plots" / "sweep.png"
            if len(runs) == 1 and picture.is_file():
                extra["sweep.png"] = picture.read_bytes()
    if not entries:
        raise RexError(f"{places[0]}: this sweep has no job yet; wait for one, or name runs")
    entries = list({entry.name: entry for entry in entries}.values())
    if out is not None:
        file = Path(out) / "report.html" if Path(out).is_dir() else Path(out)
    elif len(places) == 1:
        file = places[0] / "report.html"
    else:
        file = outputs / "reports" / f"{datetime.now().strftime('%Y-%m-%d_%H-%M-%S')}.html"
    write_atomic(file, render(entries, _title(places, entries, outputs), extra))
    return Result(path=file)


def _run(view: RunView, name: str, **more: dict[str, str]) -> Entry:
    return Entry(view, name, view.status, facts=facts_of(view), artifacts=artifact_rows(view), error=view.error, **more)


def _job(sweep: Path, row: JobRow, prefix: str) -> Entry:
    path, name = sweep / str(row.number), f"{prefix}{row.number}"
    if (path / "run.json").is_file():
        return _run(RunView(path), name, overrides=dict(row.overrides))
    return Entry(None, name, row.status, dict(row.overrides), error=row.error)


def _name(path: Path, outputs: Path) -> str:
    """Returns a run's folder as commands accept it."""
    path, root = path.resolve(), outputs.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _title(places: Sequence[Path], entries: Sequence[Entry], outputs: Path) -> str:
    if len(places) > 1:
        return f"{len(entries)} runs"
    if is_sweep(places[0]):
        record = read_record(places[0])
        return f"Sweep of {record.command} on {record.experiment} · {places[0].resolve().name}"
    view = entries[0].view
    return f"{view.command} of {view.experiment} · {places[0].resolve().name}" if view else places[0].name
