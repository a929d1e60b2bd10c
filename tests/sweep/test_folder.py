"""A sweep's folder: it is found by what a person types, and read as it was written."""

from __future__ import annotations

from rexcli.config.project import Project
from rexcli.sweep.folder import SweepRecord, find_sweep, read_record, write_record


def test_a_sweep_is_found(toy: Project) -> None:
    for command, moment in (("nap", "01"), ("nap", "03"), ("train", "02")):
        folder = toy.outputs / "toy" / command / moment
        folder.mkdir(parents=True)
        record = SweepRecord(command, "toy", None, None, ("seed=1",), (), {}, started=f"2026-01-{moment}")
        write_record(folder, record)
        assert read_record(folder) == record
    newest = toy.outputs / "toy" / "nap" / "03"
    for text in ("latest", "latest:nap", "toy/nap/03", str(newest), "outputs/toy/nap/03"):
        assert find_sweep(text, toy.outputs, "nap").resolve() == newest
    assert find_sweep("latest:train", toy.outputs, "nap").name == "02"
