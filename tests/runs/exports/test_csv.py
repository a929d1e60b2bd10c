"""The CSV tables are the timeline, to the nanosecond."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.runs.exports.csv import export_csv
from rexcli.runs.view import RunView
from rexcli.timeline.arrays import to_arrays
from rexcli.timeline.instants import begun
from rexcli.timeline.simulate import simulate
from rexcli.timeline.spec import EdgeTiming, NodeTiming, SystemTiming
from tests.runs.executions import chain_timeline, events, record
from tests.runs.test_rundir import new_run


def nanoseconds(text: str) -> int:
    assert len(text.partition(".")[2]) == 9
    return int(Decimal(text) * 10**9)


def test_the_tables_hold_every_step_and_message(tmp_path: Path) -> None:
    timeline = chain_timeline(episodes=2, steps=5)
    with new_run(tmp_path, "compile") as run:
        run.write_arrays("timeline.npz", to_arrays(timeline))
    steps, messages = export_csv(RunView(run.path), tmp_path / "tables")
    assert steps.read_text().splitlines()[0] == "episode,node,seq,ts_start,ts_end"
    assert messages.read_text().splitlines()[0] == "episode,source,target,seq_out,seq_in,ts_sent,ts_recv"
    with steps.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(int(node.count.sum()) for node in timeline.steps.values())
    for row in rows:
        node, where = timeline.steps[row["node"]], (int(row["episode"]), int(row["seq"]))
        assert (nanoseconds(row["ts_start"]), nanoseconds(row["ts_end"])) == (node.start[where], node.end[where])
    with messages.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(int(timeline.steps[edge.source].count.sum()) for edge in timeline.spec.edges)
    for row in rows:
        edge = timeline.messages[f"{row['source']}_{row['target']}"]
        where = (int(row["episode"]), int(row["seq_out"]))
        assert int(row["seq_in"]) == edge.reader[where]
        assert nanoseconds(row["ts_recv"]) == edge.arrive[where]
        assert nanoseconds(row["ts_sent"]) == timeline.steps[row["source"]].end[where]
    assert any(row["seq_in"] == "-1" for row in rows)


def test_a_recording_may_lack_what_waits_for_the_supervisors_last_tick(tmp_path: Path) -> None:
    spec = SystemTiming(
        (NodeTiming("agent", 10.0), NodeTiming("act", 10.0)),
        (EdgeTiming("agent_act", "agent", "act", blocking=True), EdgeTiming("act_agent", "act", "agent", skip=True)),
        "agent",
    )
    timeline = simulate(spec, lambda kind, name, ticks: np.zeros((1, ticks), np.int64), episodes=1, steps=5)
    counts = begun(timeline)
    assert counts["act"][0] < timeline.steps["act"].count[0]
    sources = {edge.name: edge.source for edge in spec.edges}
    happened = [event for event in events(timeline) if event[4] < counts[sources.get(event[3], event[3])][0]]
    with new_run(tmp_path, "record") as run:
        with run.recording(spec) as writer:
            record(writer, timeline, happened)
        run.write_arrays("timeline.npz", to_arrays(timeline))
    steps, _ = export_csv(RunView(run.path), tmp_path / "tables")
    assert len(steps.read_text().splitlines()) == 1 + sum(int(node.count[0]) for node in timeline.steps.values())


def test_a_recording_gives_the_same_tables(tmp_path: Path) -> None:
    timeline = chain_timeline()
    with new_run(tmp_path, "record") as run:
        with run.recording(timeline.spec) as writer:
            record(writer, timeline, events(timeline))
        from_recording = [path.read_bytes() for path in export_csv(RunView(run.path), tmp_path / "one")]
        run.write_arrays("timeline.npz", to_arrays(timeline))
    from_arrays = [path.read_bytes() for path in export_csv(RunView(run.path), tmp_path / "two")]
    assert from_recording == from_arrays
    assert np.prod([len(table) for table in from_arrays]) > 0


def test_a_timeline_that_is_not_the_recordings_is_refused(tmp_path: Path) -> None:
    timeline = chain_timeline()
    with new_run(tmp_path, "record") as run:
        with run.recording(timeline.spec) as writer:
            record(writer, timeline, events(timeline))
        node = timeline.spec.nodes[0].name
        timeline.steps[node].end[0, 0] += 1
        run.write_arrays("timeline.npz", to_arrays(timeline))
    with pytest.raises(RexError, match=f"timeline.npz and recording.mcap differ at episode 0, node {node}, seq 0"):
        export_csv(RunView(run.path), tmp_path / "tables")
    assert not (tmp_path / "tables").exists()
