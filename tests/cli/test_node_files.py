"""A run keeps what its nodes were made from, and whoever goes on with it is told what has changed since."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from rexcli.cli.node_files import changed_files, keep_files, refuse_changed
from rexcli.errors import RexError
from rexcli.runs.rundir import Run
from rexcli.runs.view import RunView


def test_text_is_kept_and_every_change_is_told_until_it_is_put_back(tmp_path: Path) -> None:
    files = {"arm.xml": tmp_path / "arm.xml", "meshes/hand.stl": tmp_path / "hand.stl"}
    for path in files.values():
        path.write_bytes(b"as it was")
    nodes = {"world": SimpleNamespace(files=lambda: files), "agent": SimpleNamespace(files=dict)}
    system = SimpleNamespace(nodes=nodes)
    with Run.create(tmp_path / "outputs", "arm", "train", argv=["rex"], seed=0, config_yaml="name: arm\n") as run:
        keep_files(run, system)  # type: ignore[arg-type]
    view = RunView(run.path)
    assert (run.path / "files/world/arm.xml").read_bytes() == b"as it was"
    assert sorted(path.name for path in (run.path / "files").rglob("*") if path.is_file()) == ["arm.xml", "sha256.json"]
    assert changed_files(view, system) == []  # type: ignore[arg-type]
    for name in files:
        files[name].write_bytes(b"as it is now")
        [line] = changed_files(view, system)  # type: ignore[arg-type]
        assert line.startswith(f"node 'world': {name} changed since {run.path} was made")
        with pytest.raises(RexError, match="put that back to go on with this run"):
            refuse_changed(view, system)  # type: ignore[arg-type]
        files[name].write_bytes(b"as it was")
        refuse_changed(view, system)  # type: ignore[arg-type]
    gone = files.pop("meshes/hand.stl")
    files["new.xml"] = gone
    [line] = changed_files(view, system)  # type: ignore[arg-type]
    assert "meshes/hand.stl, new.xml changed" in line
