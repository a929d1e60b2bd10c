"""Writes files and folders that are whole or not there at all.

A new file is written beside its place under a temporary name, forced to disk, renamed into place, and the folder that
lists it is forced to disk too. A process that is killed on the way leaves at most a temporary file. Its name
(`is_temporary`) tells readers to ignore it, and the next writer to the same folder removes it.
"""

from __future__ import annotations

import errno
import os
import platform
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path

from rexcli.errors import RexError, WriteError
from rexcli.runs import provenance

TEMPORARY = ".rex-tmp-"
"""Prefix of the names of unfinished files and folders."""
FULL = {
    errno.ENOSPC: "no space is left",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "a file cannot become so large",
    errno.EIO: "the disk fails",
}
"""Errors of a disk that takes no more data, which are no mistake of the user."""


def is_temporary(path: Path) -> bool:
    """Returns whether `path`, or a folder above it, is unfinished: being written, or left by a killed writer."""
    return any(part.startswith(TEMPORARY) for part in path.parts)


def remove_abandoned(folder: Path, *, below: bool = False) -> None:
    """Removes what writers of this machine that are gone left unfinished in a folder.

    Args:
        folder: the folder to search; one that does not exist is empty.
        below: whether to search all folders below it, too.
    """
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            if name.startswith(TEMPORARY) and _is_abandoned(name):
                path = Path(parent, name)
                shutil.rmtree(path, ignore_errors=True)
                with suppress(OSError):
                    path.unlink(missing_ok=True)
        folders[:] = [name for name in folders if below and not name.startswith(TEMPORARY)]


def make_folder(path: Path) -> None:
    """Makes a folder and its parents, and forces their entries to disk."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        _sync(folder.parent)


def new_folder(places: Iterable[Path], files: Mapping[str, bytes]) -> Path:
    """Makes a folder with files, whole or not at all, at the first of some places where there is nothing yet.

    Raises:
        WriteError: the folder cannot be written.
    """
    for path in places:
        if path.exists():
            continue
        with told(path):
            make_folder(path.parent)
            temporary = _beside(path)
            temporary.mkdir()
            try:
                for name, data in files.items():
                    (temporary / name).write_bytes(data)
                _sync_all(temporary)
                os.rename(temporary, path)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                continue  # another process was faster
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            _sync(path.parent)
            return path
    raise ValueError("no place is left")


def numbered(path: Path) -> Iterator[Path]:
    """Yields `path`, `path-2`, `path-3`, …: places for folders of which several may be made in the same moment."""
    yield path
    for number in count(2):
        yield path.with_name(f"{path.name}-{number}")


def places(root: Path, experiment: str, command: str) -> Iterator[Path]:
    """Yields where a new run or sweep may lie: `<root>/<experiment>/<command>/<time>`, then the same `numbered`.

    Raises:
        RexError: a name is not a valid folder name.
    """
    for what, name in (("experiment", experiment), ("command", command)):
        if "/" in safe_name(name) or "\\" in name:
            raise RexError(f"{what} '{name}': runs lie in a folder of this name; leave out the slashes")
    yield from numbered(root / experiment / command / datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path to write a file to; it becomes `path` at the end of the block, or never.

    The temporary name has the suffix of `path`, for libraries that choose a format by it. Parent folders are made.

    Raises:
        RexError: the block wrote nothing there.
        WriteError: the file cannot be written.
    """
    with told(path):
        make_folder(path.parent)
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
    """Yields a temporary folder to fill; it becomes `path` at the end of the block, or never.

    An existing folder is replaced: for a moment neither is there, but never a mixture.

    Raises:
        WriteError: the folder cannot be written.
    """
    with told(path):
        make_folder(path.parent)
        temporary, old = _beside(path), _beside(path)
        temporary.mkdir()
        try:
            yield temporary
            _sync_all(temporary)
            if path.exists():
                os.replace(path, old)
            os.replace(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
        _sync(path.parent)


def remove_unfinished(folder: Path) -> None:
    """Removes all that is unfinished in a folder that nobody writes to, whichever machine left it there."""
    for path in sorted(folder.rglob(f"{TEMPORARY}*")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes) -> None:
    """Writes `data` to `path`, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


def append(path: Path, data: bytes) -> None:
    """Appends to a file and forces it to disk; a part of `data` may be there if that fails.

    Raises:
        WriteError: the file cannot be written.
    """
    with told(path), path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def require_space(path: Path, size: int) -> None:
    """Refuses to begin with what will not fit on the disk, for libraries that would write much of it first.

    Args:
        path: the file to be written; its folder exists.
        size: approximate upper limit of its size, bytes.

    Raises:
        WriteError: the disk has less space.
    """
    if shutil.disk_usage(path.parent).free < size:
        raise disk_full(path)


def disk_full(path: Path | str, number: int = errno.ENOSPC) -> WriteError:
    """Returns the error for a disk that takes no more of `path`, for one of the reasons in `FULL`."""
    return WriteError(f"{path}: {FULL[number]}; make room there, or write elsewhere")


def sha256(path: Path) -> str:
    """Returns the hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        import hashlib  # loads OpenSSL, which a command that only reads does not need

        return hashlib.file_digest(file, "sha256").hexdigest()


def safe_name(name: str) -> str:
    """Returns `name` if it names something inside a run's folder and nothing else.

    Raises:
        RexError: the name is absolute, leaves the folder with `..`, or is empty.
    """
    parts = name.replace("\\", "/").split("/")
    if not name or "\0" in name or Path(name).is_absolute() or ":" in parts[0] or {"", ".", ".."} & set(parts):
        raise RexError(f"'{name}': not the name of a file inside a run; give one such as 'plots/returns.png'")
    return name


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turns the system's errors about a file that is being written into one-line errors that name it."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise disk_full(path, error.errno) from error
        what = error.strerror or error
        raise WriteError(f"{path}: cannot be written: {what}; mend that, or write elsewhere") from error


def _beside(path: Path) -> Path:
    """Removes abandoned files beside `path`, and returns a temporary name that identifies this process."""
    remove_abandoned(path.parent)
    me = provenance.this_process()
    return path.with_name(f"{TEMPORARY}{_machine()}-{me['pid']}-{me['started']}-{os.urandom(3).hex()}-{path.name}")


def _is_abandoned(name: str) -> bool:
    """Returns whether a temporary name belongs to a process of this machine that is gone."""
    machine, pid, started, *_ = [*name.removeprefix(TEMPORARY).split("-"), "", "", ""]
    if machine != _machine() or not (pid.isdigit() and started.isdigit()):
        return False
    return not provenance.is_alive({"pid": int(pid), "started": int(started)})


def _machine() -> str:
    """Identifies this machine by a few letters without a dash, since several may share a folder."""
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _sync_all(folder: Path) -> None:
    """Forces a folder and everything in it to disk."""
    for parent, _, files in os.walk(folder, topdown=False):
        for name in files:
            _sync(Path(parent, name))
        _sync(Path(parent))


def _sync(path: Path) -> None:
    """Forces a file or a folder to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
