"""Files and folders are whole or absent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rexcli.errors import RexError
from rexcli.runs.storage import atomic_file, atomic_folder, is_temporary, safe_name, sha256, write_atomic


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


def test_a_kill_in_mid_write_leaves_only_what_is_recognised(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from rexcli.runs.storage import atomic_file
with atomic_file(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "a.npz"
    done = subprocess.run([sys.executable, "-c", program, str(path)], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()
    (left,) = os.listdir(tmp_path)
    assert is_temporary(Path(left))


def test_a_file_is_forced_to_disk_before_it_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("sync"), fsync(handle))[1])
    monkeypatch.setattr(os, "replace", lambda *paths: (calls.append("rename"), replace(*paths))[1])
    write_atomic(tmp_path / "a", b"data")
    assert calls == ["sync", "rename", "sync"]


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
