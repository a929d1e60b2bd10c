"""How a sweep's job comes to its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexcli.config.project import Project
from rexcli.errors import WriteError
from rexcli.sweep import jobs
from tests.sweep import sleeping_command
from tests.sweep.conftest import statuses


@pytest.mark.parametrize("status", ["running", "done"])
def test_a_job_of_which_nothing_can_be_noted_says_why_it_failed(
    toy: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: str
) -> None:
    write = jobs.write_job

    def full(folder: Path, overrides: object, now: str, *more: object, **how: object) -> None:
        if folder.name == "0" and now == status:
            raise WriteError(f"{folder}: no space is left there; make room")
        write(folder, overrides, now, *more, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "write_job", full)
    monkeypatch.chdir(toy.root)
    assert sleeping_command.main(["seed=1,2"]) == 1
    assert "job 0 failed: " in (said := capsys.readouterr().err)
    assert "no space is left there; make room" in said
    assert statuses(toy) == ["failed", "done"]
