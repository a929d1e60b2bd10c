"""A run for other programs lies where it was asked for, and what is no form is refused before any run is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexcli.cli.export import export_run
from rexcli.errors import RexError
from rexcli.runs.rundir import Run
from rexcli.timeline.arrays import to_arrays
from tests.plot.fixtures import PENDULUM, timeline_of


def test_tables_lie_in_the_run_under_the_forms_name_or_where_they_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Run.create(tmp_path / "outputs", "toy", "record", argv=["rex"], seed=0, config_yaml="name: toy\n") as run:
        run.write_arrays("timeline.npz", to_arrays(timeline_of(PENDULUM, episodes=1, steps=3)))
    for form in ("csv", "npz"):
        for out, place in ((None, run.path / form), (f"tables/{form}", Path("tables") / form)):
            assert export_run(str(run.path), form, out).path == place
            assert any(place.iterdir())


def test_what_is_no_form_is_refused_whatever_run_is_meant() -> None:
    with pytest.raises(RexError, match=r"--to cvs: there is no such form; did you mean 'csv'\?"):
        export_run("nowhere", "cvs", None)
    with pytest.raises(RexError, match="--storage mcap: this is for --to rosbag2"):
        export_run("nowhere", "csv", None, "mcap")
    with pytest.raises(RexError, match=r"--storage sqlite: .* did you mean 'sqlite3'"):
        export_run("nowhere", "rosbag2", None, "sqlite")
