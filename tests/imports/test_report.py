"""What was measured in a log is told apart from what was inferred."""

from __future__ import annotations

from pathlib import Path

from tests.imports.conftest import Import
from tests.imports.foreign import robot_messages, write_bag


def test_the_run_says_what_was_measured(imported: Import, tmp_path: Path) -> None:
    messages, _ = robot_messages()
    run = imported(write_bag(tmp_path / "bag", messages), "conf=robot")
    table = run.csv("import.csv")
    rows = {
        (str(of), str(what)): (str(how), str(source)) for of, what, how, source in zip(*table.values(), strict=True)
    }
    assert rows["imu", "step's start"] == ("measured", "header.stamp of /imu/data")
    assert rows["imu", "step's end"] == ("inferred", "start + declared delay 0 s")
    assert rows["agent", "step's end"] == ("measured", "log time of /cmd, not a header stamp")
    assert rows["agent", "step's start"][0] == "inferred"
    assert rows["imu_agent", "arrival"] == ("measured", "log time of /imu/data, not a header stamp")
    assert rows["camera_agent", "arrival"] == ("inferred", "sent + declared delay 0.006 s")
    assert rows["imu_agent", "reader"][0] == "inferred"
    assert rows["agent", "state"][0] == "not in the log"
    assert run.results["measured"] + run.results["inferred"] == sum(how != "not in the log" for how, _ in rows.values())
