"""Checkpoints: what is saved comes back; damaged ones are passed over."""

import dataclasses
import shutil

import numpy as np
import pytest

from rexcli import RexError
from rexcli.errors import WriteError
from rexcli.rl.checkpoints import KEPT, Checkpoint, load_latest, save


def make(updates=3):
    states = {"params.kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "rng": np.array([[1, 2]], np.uint32)}
    best = {name: leaf + 1 for name, leaf in states.items()}
    return Checkpoint(updates, updates, 1.5, states, best, np.array([-1.0, -np.inf], np.float32))


def test_saving_and_loading_is_the_identity(tmp_path):
    saved = make()
    save(tmp_path / "checkpoints", saved)
    loaded = load_latest(tmp_path / "checkpoints")
    for field in dataclasses.fields(Checkpoint):
        want, got = getattr(saved, field.name), getattr(loaded, field.name)
        np.testing.assert_equal(got, want)
    assert loaded.states["rng"].dtype == np.uint32


def test_the_newest_stay_and_the_newest_whole_one_is_taken(tmp_path):
    for updates in (5, 10, 15, 20):
        save(tmp_path, make(updates))
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == [15, 20][-KEPT:]
    assert load_latest(tmp_path).updates == 20
    shutil.rmtree(tmp_path / "20" / "state" / "d")
    (tmp_path / "20" / "state" / "manifest.ocdbt").write_bytes(b"broken")
    assert load_latest(tmp_path).updates == 15


def test_none_is_none_and_all_broken_is_an_error(tmp_path):
    assert load_latest(tmp_path / "nothing") is None
    (tmp_path / "7" / "state").mkdir(parents=True)
    with pytest.raises(RexError, match="none of its checkpoints"):
        load_latest(tmp_path)


def test_orbax_meets_no_file_but_those_that_were_written(tmp_path, capfd):
    for updates in (5, 10):
        save(tmp_path, make(updates))
    for number, path in enumerate(sorted((tmp_path / "10" / "state").rglob("*"))):
        if path.is_file() and number % 2:
            path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert load_latest(tmp_path).updates == 5
    (tmp_path / "10" / "sha256.json").unlink()
    assert load_latest(tmp_path).updates == 5
    (tmp_path / "5" / "state" / "more").write_bytes(b"")
    with pytest.raises(RexError, match="none of its checkpoints"):
        load_latest(tmp_path)
    assert capfd.readouterr().err == ""


def test_none_is_begun_where_there_is_no_space_for_it(tmp_path, monkeypatch):
    save(tmp_path, make(5))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2**20))
    with pytest.raises(WriteError, match="/10: no space is left"):
        save(tmp_path, make(10))
    assert [path.name for path in tmp_path.iterdir()] == ["5"]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2**20 + 10_000))
    save(tmp_path, make(10))
    assert load_latest(tmp_path).updates == 10
