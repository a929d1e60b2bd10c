"""Files and folders are whole or absent."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from rexcli.errors import RexError, WriteError
from rexcli.runs.storage import (
    TEMPORARY,
    append,
    atomic_file,
    atomic_folder,
    is_temporary,
    new_folder,
    remove_abandoned,
    safe_name,
    sha256,
    write_atomic,
)


def whole(folder: Path) -> list[str]:
    inside = (path.relative_to(folder) for path in folder.rglob("*"))
    return sorted(path.as_posix() for path in inside if not is_temporary(path))


def test_a_file_is_absent_until_the_block_ends(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "plots" / "returns.png") as temporary:
        assert temporary.suffix == ".png"
        temporary.write_bytes(b"data")
        assert whole(tmp_path) == ["plots"]
    assert (tmp_path / "plots" / "returns.png").read_bytes() == b"data"
    assert list((tmp_path / "plots").iterdir()) == [tmp_path / "plots" / "returns.png"]


def test_a_file_stays_as_it_was_when_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, b"old")

    def work() -> None:
        with atomic_file(path) as temporary:
            temporary.write_bytes(b"half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_writes_nothing_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(RexError, match=r"a\.txt: nothing was written"), atomic_file(tmp_path / "a.txt"):
        pass


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "policy"

    def write(text: str, *, fail: bool = False) -> None:
        with atomic_folder(path) as temporary:
            (temporary / "deep").mkdir()
            (temporary / "deep" / text).write_text(text)
            if fail:
                raise ValueError("stop")

    write("one")
    write("two")
    assert whole(tmp_path) == ["policy", "policy/deep", "policy/deep/two"]
    with pytest.raises(ValueError, match="stop"):
        write("three", fail=True)
    assert whole(tmp_path) == ["policy", "policy/deep", "policy/deep/two"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_in_mid_write_leaves_only_what_is_recognised_and_removed(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from rexcli.runs.storage import atomic_file, atomic_folder
with atomic_folder(Path(sys.argv[1], "policy")) as folder, atomic_file(Path(sys.argv[1], "a.npz")) as temporary:
    (folder / "weights").write_bytes(b"half")
    temporary.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == -signal.SIGKILL
    left = os.listdir(tmp_path)
    assert len(left) == 2
    assert all(is_temporary(Path(name)) for name in left)
    with atomic_file(tmp_path / "mine") as mine:
        mine.write_bytes(b"this process lives")
        elsewhere = tmp_path / f"{TEMPORARY}00000000-1-1-abcdef-a.npz"
        elsewhere.write_bytes(b"of another machine")
        write_atomic(tmp_path / "a.npz", b"whole")
        assert sorted(tmp_path.iterdir()) == sorted([mine, elsewhere, tmp_path / "a.npz"])


def test_what_was_abandoned_anywhere_in_a_run_is_removed(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "plots" / "a.png") as living:
        gone = living.name.replace(f"-{os.getpid()}-", f"-{2**22 + 1}-")
        assert gone != living.name
        (tmp_path / "plots" / gone).write_bytes(b"half")
        remove_abandoned(tmp_path)
        assert (tmp_path / "plots" / gone).exists()
        remove_abandoned(tmp_path, below=True)
        assert not (tmp_path / "plots" / gone).exists()
        living.write_bytes(b"whole")
    assert whole(tmp_path) == ["plots", "plots/a.png"]


def test_a_new_folder_is_whole_and_takes_no_other_ones_place(tmp_path: Path) -> None:
    places = [tmp_path / "runs" / name for name in "abc"]
    made = [new_folder(places, {"run.json": b"1", "config.yaml": b"2"}) for _ in range(2)]
    assert made == places[:2]
    assert whole(tmp_path) == [
        "runs",
        *(f"runs/{name}" for name in ("a", "a/config.yaml", "a/run.json", "b", "b/config.yaml", "b/run.json")),
    ]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is forced to disk and what is renamed, in order, by the names of files and folders."""
    noted: list[str] = []
    fsync, replace, rename = os.fsync, os.replace, os.rename

    def shown(path: Path | str) -> str:
        return "temporary" if is_temporary(Path(Path(path).name)) else Path(path).name

    def note_sync(handle: int) -> None:
        noted.append(f"sync {shown(os.readlink(f'/proc/self/fd/{handle}'))}")
        fsync(handle)

    def note_rename(source: Path, target: Path, move: Callable[..., None] = replace) -> None:
        noted.append(f"rename {shown(source)} to {shown(target)}")
        move(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_rename)
    monkeypatch.setattr(os, "rename", partial(note_rename, move=rename))
    return noted


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="names open files by /proc")


@needs_proc
def test_a_file_is_on_disk_before_it_takes_its_place(tmp_path: Path, calls: list[str]) -> None:
    write_atomic(tmp_path / "a", b"data")
    assert calls == ["sync temporary", "rename temporary to a", f"sync {tmp_path.name}"]


@needs_proc
def test_all_of_a_folder_is_on_disk_before_it_takes_its_place(tmp_path: Path, calls: list[str]) -> None:
    path = tmp_path / "policy"
    for text in ("one", "two"):
        calls.clear()
        with atomic_folder(path) as temporary:
            (temporary / "deep").mkdir()
            (temporary / "deep" / text).write_text(text)
    synced = ["sync two", "sync deep", "sync temporary"]
    moved = ["rename policy to temporary", "rename temporary to policy"]
    assert calls == [*synced, *moved, f"sync {tmp_path.name}"]


@needs_proc
def test_a_new_folder_and_the_way_to_it_are_on_disk(tmp_path: Path, calls: list[str]) -> None:
    new_folder([tmp_path / "outputs" / "train" / "now"], {"run.json": b"{}"})
    way = ["sync outputs", f"sync {tmp_path.name}"]
    assert calls == [*way, "sync run.json", "sync temporary", "rename temporary to now", "sync train"]


@needs_proc
def test_what_is_appended_is_on_disk(tmp_path: Path, calls: list[str]) -> None:
    write_atomic(tmp_path / "a", b"one")
    calls.clear()
    append(tmp_path / "a", b" two")
    assert calls == ["sync a"]
    assert (tmp_path / "a").read_bytes() == b"one two"


@pytest.mark.parametrize(("number", "said"), [(errno.ENOSPC, "no space is left"), (errno.EROFS, "cannot be written")])
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, number: int, said: str) -> None:
    for open_one in (atomic_file, atomic_folder):

        def write(open_one: Callable[[Path], AbstractContextManager[Path]] = open_one) -> None:
            with open_one(tmp_path / "a"):
                raise OSError(number, os.strerror(number))

        with pytest.raises(WriteError, match=rf"/a: {said}"):
            write()
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/../x", "/etc/passwd", "a//b", "a/.", "..\\x", "C:\\x", "a\0b"]
)
def test_names_that_leave_the_run_are_refused(name: str) -> None:
    with pytest.raises(RexError, match="not the name of a file inside a run"):
        safe_name(name)


@pytest.mark.parametrize("name", ["a", "plots/a b.png", "policy/0/params", "..a", "a..b"])
def test_names_inside_the_run_pass(name: str) -> None:
    assert safe_name(name) == name


def test_sha256_is_the_known_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")
