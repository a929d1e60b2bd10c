"""`rex export RUN`: a run's timeline as tables for other programs. Reads data only."""

from __future__ import annotations

from pathlib import Path

from rexcli.config.project import find_project
from rexcli.errors import RexError, suggest
from rexcli.runs.result import Result


def export_run(run: str, to: str, out: str | None) -> Result:
    """Writes `steps.csv` and `messages.csv`.

    Args:
        run: a folder, `latest` or `latest:COMMAND`.
        to: the form, `csv`.
        out: the folder for the files; None for `csv/` in the run.
    """
    from rexcli.runs.export import export_csv
    from rexcli.runs.view import find_run

    if to != "csv":
        raise RexError(f"--to {to}: there is no such form{suggest(to, ['csv'])}")
    view = find_run(run, find_project().outputs, having=("timeline.npz", "recording.mcap"))
    folder = view.path / "csv" if out is None else Path(out)
    export_csv(view, folder)
    return Result(path=folder)
