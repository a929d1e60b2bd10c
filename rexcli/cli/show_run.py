"""Implements `rex show RUN` and `rex diff RUN RUN`: a run's story, and how two runs differ. It only reads data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rexcli.cli.console import seconds, shorten
from rexcli.config.project import find_project
from rexcli.errors import RexError
from rexcli.runs.plain_yaml import differences
from rexcli.runs.result import Result, Table
from rexcli.runs.view import RunView, children, find_run
from rexcli.sweep.folder import collect, is_sweep, read_record
from rexcli.sweep.table import shown

KINDS = {
    "checkpoints": "checkpoints",
    "plots": "pictures",
    "policies": "the policies of all seeds",
    "policy": "the best policy",
}
"""Folders of artifacts that count as one thing."""


def show_run(text: str, *others: str) -> Result:
    """Returns a run's story: its command line, status, changes, parents and children, results and files.

    Args:
        text: a run's or a sweep's folder, `latest` or `latest:COMMAND`.

    Raises:
        RexError: there is no such run, or more words follow it.
    """
    project = find_project()
    outputs = project.outputs
    if others:
        raise RexError(f"'{others[0]}': `rex show RUN` takes one run; `rex diff RUN RUN` compares two")
    for path in (Path(text), outputs / text):
        if is_sweep(path):
            return _sweep(path)
    try:
        view = find_run(text, outputs)
    except RexError as error:
        if any((folder / f"{text}.yaml").is_file() for folder in project.search_path):
            raise RexError(f"'{text}': no run is there; for the experiment write conf={text}") from None
        raise error
    tables = [Table(f"{view.command} of {view.experiment}", ("run", view.path.name), facts_of(view))]
    if view.changes:
        rows = [(key, *_pair(pair)) for key, pair in view.changes.items()]
        tables.append(Table("differs from what the files declare", ("key", "declared", "here"), rows))
    if related := _related(view, outputs):
        tables.append(Table("came from and led to", ("", "run", "command", "status"), related))
    if files := artifact_rows(view):
        tables.append(Table("artifacts", ("name", "size", "what it is"), files))
    results = {name: value for name, value in view.results.items() if not _is_nested(value)}
    return Result(values=results, path=view.path, tables=tables)


def compare_runs(first: str, second: str) -> Result:
    """Returns the differences between two runs: in provenance, configuration and results.

    Raises:
        RexError: there is no such run.
    """
    outputs = find_project().outputs
    views = (find_run(first, outputs), find_run(second, outputs))
    heads = _names(views[0], views[1])
    tables = []
    for title, column, (before, after) in (
        ("provenance", "of", (_provenance(views[0]), _provenance(views[1]))),
        ("configuration", "key", (views[0].config, views[1].config)),
    ):
        rows = [(key, *_pair(pair)) for key, pair in differences(before, after).items()]
        if rows:
            tables.append(Table(title, (column, *heads), rows))
    results = [
        (name, left, right, _change(left, right))
        for name in dict.fromkeys([*views[0].results, *views[1].results])
        if not _is_nested(left := views[0].results.get(name)) and not _is_nested(right := views[1].results.get(name))
    ]
    if results:
        tables.append(Table("results", ("result", *heads, "change"), results))
    if not tables:
        tables.append(Table(f"{heads[0]} and {heads[1]} do not differ", ("run", "status"), _statuses(*views)))
    return Result(tables=tables)


def facts_of(view: RunView) -> list[tuple[str, Any]]:
    """Returns how a run began and ended, as pairs of a name and a value; what is not known is left out."""
    began = datetime.fromisoformat(view.started)
    took = None
    if view.ended is not None and not view.resumed:
        took = seconds((datetime.fromisoformat(view.ended) - began) / timedelta(seconds=1))
    git = view.git or {}
    revision = f"{str(git.get('revision'))[:12]}{' with changes' if git.get('dirty') else ''}" if git else None
    versions = ", ".join(f"{name} {version}" for name, version in view.versions.items() if version)
    facts = [
        ("typed", view.command_line),
        *(("gone on with", _command_line(again)) for again in view.resumed),
        ("status", view.status),
        ("error", view.error),
        ("started", began.strftime("%Y-%m-%d %H:%M:%S %z")),
        ("took", took),
        ("seed", view.seed),
        ("git", revision),
        ("versions", versions or None),
        ("folder", shorten(view.path.resolve())),
    ]
    return [(name, value) for name, value in facts if value is not None]


def _command_line(again: Any) -> str:
    return str(again.get("command_line")) if isinstance(again, Mapping) else str(again)


def _related(view: RunView, outputs: Path) -> list[tuple[str, str, str | None, str | None]]:
    """Returns the parents that a run notes, and the runs that note it as a parent."""
    related: list[tuple[str, str, str | None, str | None]] = []
    for parent in view.parents:
        try:
            found = find_run(parent, outputs)
            related.append(("from", parent, found.command, found.status))
        except RexError:
            related.append(("from", parent, None, "gone"))
    for other in children(view.path, outputs):
        related.append(("to", other.path.relative_to(outputs).as_posix(), other.command, other.status))
    return related


def artifact_rows(view: RunView) -> list[tuple[str, str, str]]:
    """Returns the noted files as table rows; files of one folder are one row."""
    sizes: dict[str, list[int]] = {}
    for artifact in view.artifacts:
        top, inside, _ = str(artifact["name"]).partition("/")
        name = f"{top}/" if inside else top
        sizes.setdefault(name, []).append(int(artifact.get("size") or 0))
    return [
        (name, size_text(sum(each)), f"{KINDS.get(name[:-1], 'files')}, {len(each)} files" if name[-1] == "/" else "")
        for name, each in sizes.items()
    ]


def size_text(size: float) -> str:
    """Formats a number of bytes: 812 B, 3.4 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"


def _sweep(path: Path) -> Result:
    """Returns a sweep's settings, and the table of its jobs."""
    record = read_record(path)
    conf = [f"conf={record.conf}"] if record.conf else []
    rows = [
        ("typed", " ".join(["rex", record.command, "-m", *conf, *record.overrides])),
        ("started", record.started),
        ("attempts", record.attempt),
        ("settings", " ".join(record.choices) or None),
        ("folder", shorten(path.resolve())),
    ]
    facts = [row for row in rows if row[1] is not None]
    title = f"sweep of {record.command} on {record.experiment}"
    return Result(path=path, tables=[Table(title, ("sweep", path.name), facts), shown(collect(path))])


def _provenance(view: RunView) -> dict[str, Any]:
    git = view.git or {}
    return {
        "experiment": view.experiment,
        "command": view.command,
        "status": view.status,
        "seed": view.seed,
        "git": git.get("revision"),
        "uncommitted changes": git.get("dirty"),
        **view.versions,
    }


def _names(first: RunView, second: RunView) -> tuple[str, str]:
    """Returns as many of the last parts of two paths as tell them apart."""
    parts = (first.path.resolve().parts, second.path.resolve().parts)
    for count in range(1, max(map(len, parts)) + 1):
        names = ("/".join(parts[0][-count:]), "/".join(parts[1][-count:]))
        if names[0] != names[1]:
            return names
    return f"{first.path.name} (1)", f"{second.path.name} (2)"


def _pair(pair: tuple[Any, Any]) -> tuple[Any, Any]:
    """Converts two values to table cells, with booleans and None as in YAML."""
    words = {True: "true", False: "false", None: "-"}
    return tuple(words[value] if value is None or isinstance(value, bool) else value for value in pair)  # type: ignore[return-value]


def _change(left: Any, right: Any) -> str | None:
    """Describes by how much a number went up or down; None if it is equal or not a number."""
    numbers = [value for value in (left, right) if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < 2 or left == right:
        return None
    share = f" ({(right - left) / abs(left):+.1%})" if left else ""
    return f"{right - left:+.4g}{share}"


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict | list) for item in value))


def _statuses(*views: RunView) -> list[tuple[str, str]]:
    return [(shorten(view.path), view.status) for view in views]
