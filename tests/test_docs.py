"""Every command and every block of code in docs/ works, in the order in which a reader meets it.

Of a page's fenced blocks, `sh` is typed, a block with a title is saved under it, other `python` is run, and `text` is
for what needs another machine. What trains is run by the slow tests alone, and made quick as in
`tests/cli/test_examples.py`.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rexcli.cli.main import main
from tests.cli.test_examples import shorter

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
NEEDS_MUJOCO = "sim2real.md"
"""A page that `tests/test_sim2real.py` follows."""
TRAINS_LONG = "on_a_robot.md"
SWEEPS = "sweeps.md"
"""Of this page only what is quick is run here; `tests/sweep` runs sweeps with every launcher."""
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', flags=re.S | re.M)
QUICK = ("init", "new", "show", "record", "export", "doctor")
"""Commands that the fast tests run, where no run of another is needed."""


def blocks(page: str) -> Iterator[tuple[str, str, str]]:
    """Language, title and text of each fenced block of a page."""
    yield from FENCE.findall((DOCS / page).read_text(encoding="utf-8"))


def is_quick(words: list[str]) -> bool:
    return words[1] in QUICK and "latest:train" not in " ".join(words)


def type_in(lines: list[str], *, slow: bool) -> None:
    """Types lines into a shell of which only this is known."""
    for line in lines:
        words = shlex.split(line)
        if words[0] == "cd":
            os.chdir(words[1])
            continue
        assert words[0] == "rex", f"no test can type this: {line}"
        if any(word.startswith("distributed.process=") for word in words):
            continue  # tests/cli/test_process_group.py trains in two processes
        if slow or is_quick(words):
            assert main(shorter(line)) == 0, line


def follow(page: str, folder: Path, *, slow: bool) -> None:
    """Does what a page says, in an empty folder."""
    here = Path.cwd()
    os.chdir(folder)
    names: dict[str, object] = {}
    try:
        for language, title, text in blocks(page):
            if title:
                Path(title).write_text(text, encoding="utf-8")
            elif language == "sh":
                type_in([line for line in text.splitlines() if line.strip()], slow=slow)
            elif language == "python":
                exec(compile(text, page, "exec"), names)  # the page is ours
            else:
                assert language == "text", f"{page}: a block of {language} without a title"
    finally:
        os.chdir(here)


def test_what_is_quick_on_the_page_of_sweeps_works(tmp_path: Path) -> None:
    follow(SWEEPS, tmp_path, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.long if page == TRAINS_LONG else ())
        for page in PAGES
        if page not in (NEEDS_MUJOCO, SWEEPS)
    ],
)
def test_everything_on_a_page_works(page: str, tmp_path: Path) -> None:
    follow(page, tmp_path, slow=True)


def test_the_help_and_the_pages_know_of_each_other() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    for page in PAGES:
        assert page == "index.md" or f"({page})" in index


@pytest.mark.slow
def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=DOCS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "own_robot" / "index.html").read_text(encoding="utf-8")
    assert "Your own robot in ten minutes" in page
