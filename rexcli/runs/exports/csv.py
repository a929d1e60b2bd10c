"""Exports a run's timeline as two CSV tables, for any other tool."""

from __future__ import annotations

from pathlib import Path

from rexcli.errors import RexError
from rexcli.runs.formats import encode_csv
from rexcli.runs.storage import write_atomic
from rexcli.runs.view import RunView
from rexcli.timeline.csv_rows import MESSAGE_COLUMNS, STEP_COLUMNS, message_rows, step_rows
from rexcli.timeline.timeline import Timeline

TABLES = (("steps.csv", STEP_COLUMNS, step_rows), ("messages.csv", MESSAGE_COLUMNS, message_rows))


def export_csv(run: RunView, folder: Path) -> tuple[Path, Path]:
    """Writes `steps.csv` and `messages.csv`: times are seconds with nine decimals, and `seq_in` is -1 for a message
    that no step reads.

    If a run has both `recording.mcap` and `timeline.npz`, their times must agree. A recording that broke off because
    the disk was full is not compared, since `timeline.npz` has what it lost.

    Args:
        run: a run with `timeline.npz` or `recording.mcap`.
        folder: the folder to write to; it is made if it does not exist.

    Returns:
        The two files.

    Raises:
        RexError: the run has no timeline, it is damaged, or it is not that of the recording.
    """
    timeline = run.timeline()
    if run.has("timeline.npz") and run.has("recording.mcap"):
        _check_agreement(run, timeline)
    for name, columns, rows in TABLES:
        write_atomic(folder / name, encode_csv(columns, rows(timeline)))
    return folder / "steps.csv", folder / "messages.csv"


def _check_agreement(run: RunView, timeline: Timeline) -> None:
    recording = run.recording()
    if not recording.complete:
        return
    recorded = recording.timeline()
    for _, columns, rows in TABLES:
        noted = set(rows(timeline))
        if "seq_in" in columns:  # the reader may start after the end of the execution
            reader = columns.index("seq_in")
            noted |= {(*row[:reader], -1, *row[reader + 1 :]) for row in noted}
        for happened in rows(recorded):
            if happened not in noted:
                place = zip(columns, happened, strict=True)
                raise RexError(
                    f"{run.path}: timeline.npz and recording.mcap differ at "
                    f"{', '.join(f'{key} {value}' for key, value in place)}; the recording is what happened: move "
                    "timeline.npz away to export it"
                )
