"""Where a run comes from: the repository's state, and whether the process that makes it still lives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rexcli.runs.provenance import PACKAGES, git_revision, is_alive, this_process, versions


def test_versions_are_those_that_are_installed() -> None:
    found = versions()
    assert list(found) == ["python", *PACKAGES]
    assert found["numpy"] is not None


def test_a_revision_says_whether_files_differ_from_it(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        author = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
        subprocess.run(["git", "-C", str(tmp_path), *author, *words], check=True, capture_output=True)

    assert git_revision(tmp_path) is None
    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "first")
    clean = git_revision(tmp_path)
    assert clean is not None
    assert len(clean["revision"]) == 40
    assert clean["dirty"] is False
    (tmp_path / "file").write_text("two")
    assert git_revision(tmp_path) == {"revision": clean["revision"], "dirty": True}


def test_a_process_is_alive_until_it_ends() -> None:
    assert is_alive(this_process())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        described = {**this_process(), "pid": child.pid}
        if Path("/proc/self/stat").exists():
            assert not is_alive(described), "another process that was given the same id"
    assert not is_alive({**this_process(), "pid": child.pid})


@pytest.mark.parametrize("process", [None, "7", {}, {"pid": "7"}, {"pid": 0}, {"pid": -1}])
def test_what_describes_no_process_is_not_alive(process: object) -> None:
    assert not is_alive(process)
