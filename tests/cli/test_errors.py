"""From exceptions to one line and an exit code."""

from __future__ import annotations

import errno
import re

import pytest

from rexcli.cli.errors import report
from rexcli.cli.main import main
from rexcli.errors import WriteError
from rexcli.runs.storage import write_atomic


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["init", "{tmp}/file/project"], "file/project"),
        (["init", "/proc/nowhere"], "/proc/nowhere"),
        (["show", "conf=" + 5000 * "a"], "File name too long"),
        (["ls", 5000 * "a"], "File name too long"),
        (["plot", 5000 * "a"], "File name too long"),
        (["export", 5000 * "a"], "File name too long"),
    ],
)
def test_a_place_that_cannot_be_is_typed_wrong(words, named, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert main([word.format(tmp=tmp_path) for word in words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert named in line
    assert line.endswith("; give a file or folder that can be read and written")


def test_outputs_that_cannot_be_written_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").write_text("a file")
    assert main(["compile", "timeline.episodes=1", "timeline.steps=3"]) == 1
    *stages, line = capsys.readouterr().err.splitlines()
    assert all(re.fullmatch(r"[a-z ]+: [0-9.]+ s", stage) for stage in stages)
    assert f"{tmp_path}/outputs" in line
    assert line.endswith("mend that, or write elsewhere")


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, "no space is left"), (errno.EDQUOT, "the quota is used up"), (errno.EIO, "the disk fails")],
)
def test_a_disk_that_takes_no_more_is_nobodys_mistake(number, said, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(number, "it is full", "a")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(WriteError) as caught:
        write_atomic(tmp_path / "a", b"data")
    for error, name in ((caught.value, tmp_path / "a"), (caught.value.__cause__, "a")):
        assert report(error) == 1
        assert capsys.readouterr().err == f"error: {name}: {said}; make room there, or write elsewhere\n"


def test_what_the_code_of_a_project_cannot_open_shows_its_line(tmp_path, capsys):
    with pytest.raises(FileNotFoundError) as caught:
        open(tmp_path / "nowhere")  # noqa: SIM115
    assert report(caught.value) == 1
    assert "test_errors.py:" in capsys.readouterr().err


@pytest.mark.parametrize("error", [MemoryError("an array"), RuntimeError("RESOURCE_EXHAUSTED: out of memory")])
def test_memory_that_does_not_suffice_is_told_with_what_to_do(error, capsys):
    assert report(error) == 1
    assert capsys.readouterr().err == f"error: memory does not suffice ({error}); give fewer, shorter or smaller ones\n"


def test_a_part_of_the_configuration_that_there_is_not(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["show", "--cfg", "job", "--package", "nodes.nowhere"]) == 2
    assert (
        capsys.readouterr().err == "error: command line: --package nodes.nowhere: the configuration has no such key\n"
    )


@pytest.mark.parametrize("words", [["compile"], ["rollout", "rollout.num=2"]])
def test_what_a_step_asks_for_in_vain_leaves_no_run(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*words, "~edges.sensor_agent", "timeline.episodes=1", "timeline.steps=3"]) == 2
    assert "node 'agent': its step asks for input 'sensor'" in capsys.readouterr().err
    assert not list(tmp_path.rglob("run.json"))
