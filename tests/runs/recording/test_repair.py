"""A repaired recording says all that could be read of it, and what is none is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexcli.errors import RexError
from rexcli.runs.recording import read_recording, repair
from rexcli.runs.recording.appender import MAGIC, end_mark
from tests.runs.executions import assert_same, chain_timeline, recorded


@pytest.mark.parametrize("complete", [True, False])
def test_a_recording_that_lacks_nothing_says_the_same_when_it_is_repaired(tmp_path: Path, complete: bool) -> None:
    path = recorded(tmp_path / "r.mcap", chain_timeline(episodes=1), complete=complete)
    assert repair(path, tmp_path / "other.mcap") == tmp_path / "other.mcap"
    one, other = (read_recording(each) for each in (path, tmp_path / "other.mcap"))
    assert one.complete == other.complete == complete
    assert not other.damaged
    assert_same(one.timeline(), other.timeline())
    assert one.values("agent", "state")["start"].tolist() == other.values("agent", "state")["start"].tolist()


@pytest.mark.parametrize("data", [b"text", MAGIC + end_mark()])
def test_of_what_is_no_recording_nothing_is_made(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "r.mcap").write_bytes(data)
    for target in (None, tmp_path / "other.mcap"):
        with pytest.raises(RexError, match=r"r\.mcap: (damaged: not an MCAP file|an MCAP file, but no recording)"):
            repair(tmp_path / "r.mcap", target)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("r.mcap", data)]
