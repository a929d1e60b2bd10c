"""Files and folders that are whole or not there at all.

A new file is written beside its place under a temporary name, forced to disk, renamed into place, and the folder that
lists it is forced to disk too. A process that is killed on the way leaves at most a temporary file, whose name
(`is_temporary`) tells everybody to look past it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rexcli.errors import RexError

TEMPORARY = ".rex-tmp-"
"""How the names of unfinished files and folders begin."""


def is_temporary(path: Path) -> bool:
    """Whether `path` or a folder on the way to it is unfinished: a writer is at work on it, or was killed."""
    return any(part.startswith(TEMPORARY) for part in path.parts)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Gives a temporary path to write a file to; it becomes `path` at the end of the block, or never.

    The temporary name ends as `path` does, for libraries that choose a format by suffix. Folders on the way are made.

    Raises:
        RexError: the block wrote nothing there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        yield temporary
        if not temporary.is_file():
            raise RexError(f"{path}: nothing was written; save to the path that the block was given")
        _sync(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Gives a temporary folder to fill; it becomes `path` at the end of the block, or never.

    A folder that is there already is replaced: between the two it is absent, never mixed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, old = _beside(path), _beside(path)
    temporary.mkdir()
    try:
        yield temporary
        for parent, _, files in os.walk(temporary, topdown=False):
            for name in files:
                _sync(Path(parent, name))
            _sync(Path(parent))
        if path.exists():
            os.replace(path, old)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    _sync(path.parent)


def sweep(folder: Path) -> None:
    """Removes what a killed writer left unfinished in a folder that nobody writes to."""
    for path in sorted(folder.rglob(f"{TEMPORARY}*")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes) -> None:
    """Writes `data` to `path`, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def safe_name(name: str) -> str:
    """`name` if it names something inside a run's folder and nothing else.

    Raises:
        RexError: absolute, climbing out with `..`, or empty.
    """
    parts = name.replace("\\", "/").split("/")
    if not name or "\0" in name or Path(name).is_absolute() or ":" in parts[0] or {"", ".", ".."} & set(parts):
        raise RexError(f"'{name}': not the name of a file inside a run; give one such as 'plots/returns.png'")
    return name


def _beside(path: Path) -> Path:
    return path.with_name(f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}-{path.name}")


def _sync(path: Path) -> None:
    """Forces a file or a folder to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
