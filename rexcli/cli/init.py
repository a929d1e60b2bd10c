"""`rex init DIR`: a project to start from."""

from __future__ import annotations

from pathlib import Path

from rexcli.config.project import copy_bundled
from rexcli.runs.result import Result, Table


def start_project(folder: str) -> Result:
    """Copies the bundled `conf/` and `nodes/` into `folder`; never overwrites."""
    files = copy_bundled(Path(folder))
    return Result(
        tables=[Table(f"written to {folder}", ("file",), [(str(file),) for file in files])], path=Path(folder)
    )
