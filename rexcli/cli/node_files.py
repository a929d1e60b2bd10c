"""Keeps the files that nodes are made from, such as a world's model: copies of text files, and hashes of all files."""

from __future__ import annotations

import hashlib

from rexcli.errors import RexError
from rexcli.runs.rundir import Run
from rexcli.runs.view import RunView
from rexcli.system.system import System

TEXT = (".xml", ".urdf")
"""Suffixes of the files that a run keeps a copy of; meshes and pictures may be large."""
HASHES = "files/{}/sha256.json"
"""The file with the hashes of a node's files."""


def keep_files(run: Run, system: System) -> None:
    """Writes `files/<node>/`: a copy of each text file, and `sha256.json`."""
    for name, node in system.nodes.items():
        contents = {file: path.read_bytes() for file, path in node.files().items()}
        if contents:
            run.write_json(HASHES.format(name), {file: _hash(content) for file, content in contents.items()})
        for file, content in contents.items():
            if file.endswith(TEXT):
                run.write_bytes(f"files/{name}/{file}", content)


def changed_files(view: RunView, system: System) -> list[str]:
    """Returns a line for each node whose files have changed since a run was made."""
    lines = []
    for name, node in system.nodes.items():
        if not view.has(HASHES.format(name)):
            continue
        now = {file: _hash(path.read_bytes()) for file, path in node.files().items()}
        kept = view.json(HASHES.format(name))
        changed = sorted(file for file in {*now, *kept} if now.get(file) != kept.get(file))
        if changed:
            lines.append(
                f"node '{name}': {', '.join(changed)} changed since {view.path} was made; what it was is in "
                f"{view.path / 'files' / name}"
            )
    return lines


def refuse_changed(view: RunView, system: System) -> None:
    """Refuses to resume a run whose files have changed.

    Raises:
        RexError: files have changed; the message names them.
    """
    if lines := changed_files(view, system):
        raise RexError(f"{lines[0]}; put that back to go on with this run, or begin a new one")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
