"""Finds the stopped sweep of `resume=SWEEP`, and checks what must not have changed since it was started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rexcli.errors import RexError
from rexcli.runs.plain_yaml import flatten
from rexcli.sweep.folder import SweepRecord, collect, find_sweep, read_record
from rexcli.sweep.jobs import Command
from rexcli.sweep.overrides import is_choice


def stored(command: Command, wanted: Sequence[str], overrides: Sequence[str]) -> tuple[Path, SweepRecord]:
    """Returns the sweep to resume.

    Args:
        command: the command that is typed now.
        wanted: the values of `resume=`.
        overrides: the other overrides.

    Raises:
        RexError: if there is none, it is still running, or the typed overrides are not those that it was started with.
    """
    if len(wanted) > 1:
        raise RexError(f"resume={','.join(wanted)}: give one sweep")
    folder = find_sweep(wanted[0].strip("'\""), command.project.outputs, command.name).resolve()
    record = read_record(folder)
    own = [text for text in overrides if not is_choice(text)]
    where = f"resume={wanted[0]}"
    if record.command != command.name:
        raise RexError(f"{where}: this is a sweep of '{record.command}'; say rex {record.command} -m {where}")
    if command.conf not in (None, record.conf):
        made = "no conf" if record.conf is None else f"conf={record.conf}"
        raise RexError(f"{where}: this sweep was made with {made}; leave out conf={command.conf}")
    if own and sorted(own) != sorted(record.overrides):
        different = [text for text in own if text not in record.overrides]
        raise RexError(
            f"{where}: this sweep was made with {' '.join(record.overrides) or 'no overrides'}; leave out "
            f"{' '.join(different) or 'all overrides'}, or start a new sweep"
        )
    if record.process is not None and record.is_alive():
        raise RexError(f"{where}: this sweep still runs, as process {record.process['pid']}; wait, or stop it first")
    running = [str(row.number) for row in collect(folder) if row.status == "running"]
    if running:
        raise RexError(f"{where}: of this sweep still runs job {', '.join(running)}; wait until it has ended")
    return folder, record


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Describes how the YAML files have changed since the sweep was started; returns None if they have not."""
    old, new = flatten(before), flatten(now)
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key) and key != "compile.devices"]
    shown = ", ".join(f"{key} {old.get(key)} -> {new.get(key)}" for key in changed[:3])
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    if not changed:
        return None
    return f"the configuration has changed since this sweep was started: {shown}{more}; done jobs stay as is"
