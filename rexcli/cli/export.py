"""Implements `rex export RUN`: writes a run as tables, arrays, a ROS 2 bag or a LeRobot dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rexcli.config.project import find_project
from rexcli.errors import RexError, suggest
from rexcli.runs.result import Result

if TYPE_CHECKING:
    from rexcli.runs.exports.rosbag import Storage
    from rexcli.runs.view import RunView


FORMS = ("csv", "npz", "parquet", "rosbag2", "lerobot", "lerobot2")
STORAGES: tuple[Storage, ...] = ("mcap", "sqlite3")


def export_run(run: str, to: str, out: str | None, storage: str | None = None) -> Result:
    """Writes a run in another format.

    Args:
        run: a folder, `latest` or `latest:COMMAND`.
        to: the format, one of `FORMS`.
        out: the folder for the files; None for one inside the run, named after the format.
        storage: file format of a bag; None for `mcap`.
    """
    from rexcli.runs.view import find_run

    if to not in FORMS:
        raise RexError(f"--to {to}: there is no such form{suggest(to, list(FORMS))}")
    if storage is not None and to != "rosbag2":
        raise RexError(f"--storage {storage}: this is for --to rosbag2")
    chosen = next((known for known in STORAGES if known == (storage or "mcap")), None)
    if chosen is None:
        raise RexError(f"--storage {storage}: there is no such form{suggest(str(storage), list(STORAGES))}")
    view = find_run(run, find_project().outputs, having=("timeline.npz", "recording.mcap"))
    folder = view.path / to if out is None else Path(out)
    said = _write(view, folder, to, chosen)
    return Result(path=folder, warnings=[said] if said else [])


def _write(view: RunView, folder: Path, to: str, storage: Storage) -> str | None:
    """Writes the files, and returns a note about them for the user, if any."""
    if to == "csv":
        from rexcli.runs.exports.csv import export_csv

        export_csv(view, folder)
    elif to == "rosbag2":
        from rexcli.runs.exports.rosbag import export_rosbag2

        export_rosbag2(view, folder, storage)
    elif to in ("lerobot", "lerobot2"):
        from rexcli.runs.exports.lerobot import export_lerobot

        return export_lerobot(view, folder, version="v3.0" if to == "lerobot" else "v2.1")
    else:
        from rexcli.runs.exports.parquet import export_npz, export_parquet

        return export_parquet(view, folder) if to == "parquet" else export_npz(view, folder)
    return None
