"""A disk that is full at every write of every command in turn.

    python -m tests.soak.full_disk [--every 1] [--momentary]

All commands run in this process, in a project of their own. Whatever takes space in its `outputs/` is counted: opening
a file to write, making a folder, renaming. The n-th of these and all that follow find no space left, for n = 1, 2, …
until the command comes to its end; with `--momentary`, only the n-th. The exit code must be 1, with one line that
names a place in `outputs/` and says what to do; every run must open; and with space again the command that goes on from
there must end well, with nothing half made left. Where this user may mount, the same on a file system of limited size,
which also cuts files short and fills up under the process that writes recordings.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from rexcli.cli.main import main as rex
from rexcli.runs.storage import is_temporary
from rexcli.runs.view import RunView
from rexcli.sweep.folder import is_sweep
from tests.soak.kills import COMMANDS, damage, made
from tests.soak.project import make_project

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
STEPS = 12
"""Sizes of a file system that are tried, from none to all that a command needs."""


class Disk:
    """Counts what takes space in a folder, and lets it fail from some operation on. It watches this process for good.

    Attributes:
        folder: which.
        count: operations since `fill`.
    """

    def __init__(self, folder: Path):
        self.folder = str(folder)
        self.count = 0
        self._full_at = 0
        self._momentary = False
        sys.addaudithook(self._look)

    @contextlib.contextmanager
    def full_at(self, operation: int, *, momentary: bool = False) -> Iterator[None]:
        """While the block runs, that operation (from 1) and those after it fail; if `momentary`, only that one."""
        self.count, self._full_at, self._momentary = 0, operation, momentary
        try:
            yield
        finally:
            self._full_at = 0

    def _look(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._full_at or event not in ("open", "os.mkdir", "os.rename"):
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITING):
            return
        place = arguments[1] if event == "os.rename" else arguments[0]
        if not isinstance(place, str | os.PathLike) or not os.fspath(place).startswith(self.folder):
            return
        self.count += 1
        if self.count == self._full_at or (self.count > self._full_at and not self._momentary):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(place))


@dataclass(frozen=True)
class Attempt:
    """What a command made of a full disk.

    Attributes:
        code: its exit code.
        said: on stderr.
        wrong: what is not as it should be, a line each.
    """

    code: int
    said: str
    wrong: tuple[str, ...]


def call(*words: str) -> tuple[int, str]:
    """`rex WORDS` in this process: the exit code, and what it said on stderr."""
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        code = rex(list(words))
    return code, said.getvalue()


def attempt(project: Path, what: str, full: contextlib.AbstractContextManager[None]) -> Attempt:
    """Runs a command while the disk is full, and with space again goes on from there."""
    before = set(made(project))
    with full:
        code, said = call(*COMMANDS[what])
    new = [folder for folder in made(project) if folder not in before]
    end_process(new)
    wrong = [line for folder in new for line in damage(folder)]
    if code != 0:
        wrong += complaints(project, code, said)
        wrong += go_on(project, what, new)
    wrong += [f"{path} is left" for path in (project / "outputs").rglob("*") if is_temporary(Path(path.name))]
    return Attempt(code, said, tuple(wrong))


def end_process(folders: list[Path]) -> None:
    """Makes runs look as if the process that made them were gone, which a command's own is after it."""
    for folder in folders:
        for path in [path for name in ("run.json", "job.json", "sweep.json") for path in folder.rglob(name)]:
            record = json.loads(path.read_text())
            record["process"] = {"pid": 1, "started": 0}
            path.write_text(json.dumps(record))


def complaints(project: Path, code: int, said: str) -> list[str]:
    """What is wrong with how a command says that it found no space."""
    words = ("error: ", "job 0 failed: ", "job 1 failed: ")
    errors = [line for line in said.splitlines() if line.startswith(words)][-1:]
    wrong = [] if code == 1 else [f"exit code {code}"]
    if "Traceback" in said:
        wrong.append("a traceback")
    if len(errors) != 1 or "no space is left" not in errors[0].lower() or "make room" not in errors[0]:
        wrong.append(f"no single line that says what to do: {said[-400:]}")
    elif str(project / "outputs") not in errors[0] and "outputs/" not in errors[0]:
        wrong.append(f"the line names no place: {errors[0]}")
    return wrong


def go_on(project: Path, what: str, new: list[Path]) -> list[str]:
    """Does what a person would, with space again."""
    command = COMMANDS[what]
    words = [command]
    if new and is_sweep(new[0]):
        words = [(command[0], "-m", f"resume={new[0]}")]
    elif new and what == "train" and RunView(new[0]).status != "done":
        words = [("train", f"resume={new[0]}")]
    results = {each: call(*each) for each in words}
    for folder in new:
        if not is_sweep(folder) and what != "train":
            call("plot", str(folder), "--quiet")
    return [f"rex {' '.join(each)} ends with {code}: {said[-400:]}" for each, (code, said) in results.items() if code]


def at_every_operation(project: Path, disk: Disk, what: str, every: int, *, momentary: bool) -> list[Attempt]:
    """The disk full at the first operation of a command, at the one `every` later, …, until it does not notice."""
    attempts: list[Attempt] = []
    for number in count(1, every):
        attempts.append(attempt(project, what, disk.full_at(number, momentary=momentary)))
        unnoticed = momentary and disk.count >= number  # such as the log, or a folder that is there already
        if attempts[-1].code == 0 and not unnoticed:
            return attempts
        _tell(what, f"operation {number}", attempts[-1])
    return attempts


@contextlib.contextmanager
def small_file_system(folder: Path) -> Iterator[None]:
    """A file system of its own in a folder, in memory."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "none", str(folder)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def can_mount() -> bool:
    """Whether this user may mount file systems here."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with small_file_system(Path(folder, "disk")):
                return True
        except (OSError, subprocess.SubprocessError):
            return False


@contextlib.contextmanager
def limited(folder: Path, room: int) -> Iterator[None]:
    """While the block runs, the file system at `folder` takes so many bytes more and no others."""
    resize(folder, used(folder) + room)
    try:
        yield
    finally:
        resize(folder, 2**28)


def used(folder: Path) -> int:
    """Bytes that are taken in the file system at `folder`."""
    about = os.statvfs(folder)
    return (about.f_blocks - about.f_bfree) * about.f_frsize


def resize(folder: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True, capture_output=True)


def at_every_size(project: Path, what: str, steps: int) -> list[Attempt]:
    """A file system that is full after 0, 1/steps, 2/steps, … of what a command writes."""
    outputs = project / "outputs"
    before = used(outputs)
    code, said = call(*COMMANDS[what])
    assert code == 0, said
    need, attempts = used(outputs) - before, []
    for step in range(steps):
        room = max(4096, need * step // steps)
        attempts.append(attempt(project, what, limited(outputs, room)))
        _tell(what, f"{room} of {need} bytes", attempts[-1])
    return attempts


def _tell(what: str, when: str, found: Attempt) -> None:
    said = "".join(f"\n    {line}" for line in found.wrong) or " all is well"
    print(f"{what}, full at {when}: {found.code},{said}", flush=True)


@contextlib.contextmanager
def project() -> Iterator[Path]:
    """A project of its own, which is the working directory, with a training in it."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        made_project = make_project(Path(folder).resolve())
        os.chdir(made_project)
        try:
            yield made_project
        finally:
            os.chdir(before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--every", type=int, default=1, help="how many operations lie between two that are let fail")
    parser.add_argument("--momentary", action="store_true", help="only the n-th operation fails")
    parser.add_argument("--only", action="append", choices=list(COMMANDS), help="one command; repeatable")
    options = parser.parse_args()
    attempts: list[Attempt] = []
    with project() as place:
        assert call("train")[0] == 0
        disk = Disk(place / "outputs")
        for what in options.only or COMMANDS:
            attempts += at_every_operation(place, disk, what, options.every, momentary=options.momentary)
    if can_mount() and not options.momentary:
        with project() as place, small_file_system(place / "outputs"):
            assert call("train")[0] == 0
            for what in options.only or COMMANDS:
                attempts += at_every_size(place, what, STEPS)
    bad = [each for each in attempts if each.wrong]
    print(f"{len(attempts)} full disks, {len(bad)} of them left something wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
