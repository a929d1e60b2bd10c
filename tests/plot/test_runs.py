"""Pictures of a run as it really lies on disk: written by `Run` and the recorder, read by `RunView`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from rexcli.plot import draw_run, pictures
from rexcli.plot.declared import Declared
from rexcli.plot.trajectories import from_recording
from rexcli.runs.recording import RecordingWriter
from rexcli.runs.rundir import Run
from rexcli.runs.view import RunView
from rexcli.timeline.arrays import to_arrays
from tests.plot.fixtures import PENDULUM, FakeRecording, metrics, pendulum_rollouts, program, recording, sweep


def _record(path: Path, source: FakeRecording) -> None:
    line = source.timeline()
    with RecordingWriter(path, line.spec, {}) as writer:
        for node, steps in line.steps.items():
            for seq, (start, end) in enumerate(zip(steps.start[0], steps.end[0], strict=True)):
                fields = {
                    field: {key: leaf[0, seq] for key, leaf in source.values(node, field).items()}
                    for field in source.fields(node)
                }
                writer.step(0, node, seq, int(start), int(end), fields)
        for edge in line.spec.edges:
            messages, sent = line.messages[edge.name], line.steps[edge.source].end[0]
            for seq, (arrive, reader) in enumerate(zip(messages.arrive[0], messages.reader[0], strict=True)):
                writer.message(0, edge.name, seq, int(sent[seq]), int(arrive), int(reader))


def _run(tmp_path: Path, *, rollouts: bool) -> RunView:
    source = recording(40)
    with Run.create(
        tmp_path, "pendulum", "train", argv=["rex", "train"], seed=0, config_yaml=yaml.safe_dump(PENDULUM)
    ) as run:
        run.write_json("program.json", program())
        for name, table in (("metrics.csv", metrics(2, 4)), ("sweep.csv", sweep())):
            run.write_csv(name, list(table), list(zip(*(column.tolist() for column in table.values()), strict=True)))
        run.write_csv("loss.csv", ["rollouts", "loss", "stage"], [[64, 0.8, "search"], [128, 0.1, "search"]])
        columns = {"time": [0.1, 0.2], "episode": [0, 0], "recorded": [0.0, 1.0], "simulated": [0.1, 0.9]}
        signals = {f"sensor.th/{name}": np.array(values) for name, values in columns.items()}
        run.write_arrays("signals.npz", signals | {"sensor.th/fitted": np.array([True, False])})
        run.write_arrays("lateness.npz", {name: np.linspace(1e4, 1e6, 40) for name in PENDULUM["nodes"]})
        if rollouts:
            run.write_arrays("rollouts.npz", pendulum_rollouts(5))
            run.write_arrays("timeline.npz", to_arrays(source.timeline()))
        else:
            _record(run.path / "recording.mcap", source)
    return RunView(run.path)


def test_every_picture_is_drawn_from_real_artifacts(tmp_path: Path) -> None:
    view = _run(tmp_path, rollouts=True)
    assert [file.stem for file in draw_run(view, max_rows=2, animation_seconds=0.2)] == list(pictures())
    assert all(view.has(f"plots/{name}{picture.suffix}") for name, picture in pictures().items())
    view = _run(tmp_path, rollouts=False)
    chosen = ["dataflow", "trajectories"]
    assert [file.stem for file in draw_run(view, only=chosen, animation_seconds=0.2)] == chosen


def test_a_real_recording_has_the_same_trajectories(tmp_path: Path) -> None:
    view, declared = _run(tmp_path, rollouts=False), Declared.from_config(PENDULUM)
    expected = from_recording(recording(40), recording(40).timeline(), declared)
    found = from_recording(view.recording(), view.timeline(), declared)
    assert [entry.name for entry in found] == [entry.name for entry in expected]
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine.values, theirs.values)
        np.testing.assert_array_equal(mine.time, theirs.time)
