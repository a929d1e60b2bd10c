"""A run's timeline as two CSV tables, the interface for every other tool."""

from __future__ import annotations

from pathlib import Path

from rexcli.runs.formats import encode_csv
from rexcli.runs.storage import write_atomic
from rexcli.runs.view import RunView
from rexcli.timeline.tables import MESSAGE_COLUMNS, STEP_COLUMNS, message_rows, step_rows


def export_csv(run: RunView, folder: Path) -> tuple[Path, Path]:
    """Writes `steps.csv` and `messages.csv`: seconds with nine decimals, `seq_in` -1 where nobody reads.

    Args:
        run: has `timeline.npz`, or else `recording.mcap`.
        folder: is made if it is not there.

    Returns:
        The two files.

    Raises:
        RexError: the run has no timeline, or it is damaged.
    """
    timeline = run.timeline()
    tables = (
        (folder / "steps.csv", STEP_COLUMNS, step_rows(timeline)),
        (folder / "messages.csv", MESSAGE_COLUMNS, message_rows(timeline)),
    )
    for path, columns, rows in tables:
        write_atomic(path, encode_csv(columns, rows))
    return tables[0][0], tables[1][0]
