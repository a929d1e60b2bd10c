"""rex -> rosbag2 -> rex gives every stamp and every value back."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from rexcli.cli.export import export_run
from rexcli.cli.import_log import _write
from rexcli.cli.main import main
from rexcli.config.compose import experiment_from_config
from rexcli.config.project import Project
from rexcli.errors import RexError
from rexcli.imports import mapping
from rexcli.imports.logs import read_log
from rexcli.imports.reconstruct import reconstruct
from rexcli.imports.report import MEASURED
from rexcli.runs.exports.rosbag import export_rosbag2
from rexcli.runs.plain_yaml import load_yaml
from rexcli.runs.recording import RecordingWriter, read_recording
from rexcli.runs.rundir import Run
from rexcli.runs.view import RunView, find_run
from rexcli.timeline.simulate import simulate
from rexcli.timeline.spec import NEVER, EdgeTiming, SystemTiming
from rexcli.timeline.timeline import Messages, Timeline
from tests.imports.conftest import Import
from tests.imports.foreign import robot_messages, write_bag
from tests.runs.executions import assert_same
from tests.timeline.systems import Delays, cases

DTYPES = ("bool", "int8", "uint8", "int64", "float16", "bfloat16", "float32", "float64", "complex64", "uint16")
SHAPES = ((), (1,), (3,), (2, 2), (0,))
PATHS = ("", "th", "a.b", "a.c", "field", "0", "Big-Key")

Leaves = dict[str, dict[str, tuple[str, tuple[int, ...]]]]


@st.composite
def structures(draw: st.DrawFn) -> Leaves:
    """What one node records: by field and key path, types and shapes."""
    kinds = st.tuples(st.sampled_from(DTYPES), st.sampled_from(SHAPES))
    found: Leaves = {}
    for field in draw(st.sets(st.sampled_from(["params", "inputs", "state", "output"]))):
        paths = draw(st.sets(st.sampled_from(PATHS[1:]), min_size=1)) if draw(st.booleans()) else {""}
        found[field] = {path: draw(kinds) for path in sorted(paths)}
    return found


def config_of(spec: SystemTiming) -> dict[str, Any]:
    """The experiment of a system that is known as the clock sees it."""
    keys = ("window", "blocking", "skip", "jitter")
    nodes = {
        node.name: {
            "_target_": "nodes.robot.Part",
            "rate": node.rate,
            "expected_delay": node.expected_delay / 1e9,
            "scheduling": node.scheduling,
            "advance": node.advance,
        }
        for node in spec.nodes
    }
    edges = {
        edge.name: {
            "from": edge.source,
            "to": edge.target,
            "name": edge.name,
            "expected_delay": edge.expected_delay / 1e9,
        }
        | {key: getattr(edge, key) for key in keys}
        for edge in spec.edges
    }
    return {"name": "random", "supervisor": spec.supervisor, "nodes": nodes, "edges": edges}


def values_of(leaves: Leaves, ticks: int, rng: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    made: dict[str, dict[str, np.ndarray]] = {}
    for field, paths in leaves.items():
        made[field] = {}
        for path, (name, shape) in paths.items():
            dtype = np.dtype(getattr(ml_dtypes, name, None) or name)
            numbers = rng.normal(0, 50, (ticks, *shape)) + (
                1j * rng.normal(size=(ticks, *shape)) if dtype.kind == "c" else 0
            )
            with np.errstate(invalid="ignore"):
                made[field][path] = numbers.astype(dtype)
    return made


def lossy(timeline: Timeline, rng: np.random.Generator, share: float) -> Timeline:
    """The same with some messages lost."""
    messages = {}
    for name, each in timeline.messages.items():
        gone = rng.random(each.arrive.shape) < share
        messages[name] = Messages(np.where(gone, NEVER, each.arrive), np.where(gone, -1, each.reader))
    return Timeline(timeline.spec, timeline.steps, messages)


@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(case=cases(largest=4), leaves=st.lists(structures(), min_size=4, max_size=4), lost=st.sampled_from([0.0, 0.2]))
def test_every_stamp_and_value_comes_back(case: tuple[SystemTiming, Delays], leaves: list[Leaves], lost: float) -> None:
    spec, sample = case
    keys = ("name", "source", "target", "window", "blocking", "skip", "jitter", "expected_delay")
    plain = tuple(EdgeTiming(*(getattr(edge, key) for key in keys)) for edge in spec.edges)  # losses are drawn below
    spec = replace(spec, edges=plain)
    sample = Delays(sample.seed, sample.ranges, (0, 1))
    try:
        timeline = simulate(spec, sample, episodes=2, steps=6)
    except RexError:  # it deadlocks, or runs infinitely fast
        return
    rng = np.random.default_rng(sample.seed)
    timeline = lossy(timeline, rng, lost)
    made = {
        node.name: [values_of(leaves[place], int(count), rng) for count in timeline.steps[node.name].count]
        for place, node in enumerate(spec.nodes)
    }
    by_field = {
        name: {field: [values[field] for values in episodes] for field in episodes[0]}
        for name, episodes in made.items()
    }

    class Found:
        values = by_field

    Found.timeline = timeline  # type: ignore[attr-defined]
    config = config_of(spec)
    with tempfile.TemporaryDirectory() as folder:
        text = yaml.safe_dump(config, sort_keys=False)
        with Run.create(Path(folder), "random", "record", argv=(), seed=0, config_yaml=text) as run:
            with run.recording(spec) as writer:
                _write(writer, Found)  # type: ignore[arg-type]
            bag = export_rosbag2(RunView(run.path), run.path / "rosbag2", "mcap" if lost else "sqlite3")
        before = read_recording(run.path / "recording.mcap")
        experiment = experiment_from_config(load_yaml((bag / "experiment.yaml").read_bytes()))
        mapping.check(experiment)
        found = reconstruct(experiment, read_log(bag, mapping.wanted(experiment)), lambda key: 0.0, str(bag))
        assert_same(timeline, found.timeline)
        assert not found.warnings or all("rate" in line or "gap" in line for line in found.warnings)
        with RecordingWriter(Path(folder) / "again.mcap", spec) as writer:
            _write(writer, found)
        after = read_recording(Path(folder) / "again.mcap")
        assert_same(before.timeline(), after.timeline())
        for node in spec.nodes:
            written = set(before.fields(node.name))
            assert written == set(after.fields(node.name))
            for field in written:
                one, two = before.values(node.name, field), after.values(node.name, field)
                assert set(one) == set(two)
                for path, array in one.items():
                    assert array.dtype == two[path].dtype
                    assert array.tobytes() == two[path].tobytes(), (node.name, field, path)


def test_by_commands(imported: Import, project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    messages, _ = robot_messages()
    first = imported(write_bag(tmp_path / "bag", messages), "conf=robot")
    assert main(["export", str(first.path), "--to", "rosbag2", "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "metadata.yaml").is_file()
    assert "float64 output_up" in (tmp_path / "again" / "rex_recording" / "msg" / "StepImu.msg").read_text()
    second = imported(tmp_path / "again")
    assert second.path != first.path
    assert_same(first.timeline(), second.timeline())
    assert set(second.csv("import.csv")["how"]) - {MEASURED} == {"not in the log"}
    for node in ("imu", "camera", "agent"):
        for path, array in first.recording().values(node, "output").items():
            np.testing.assert_array_equal(array, second.recording().values(node, "output")[path])


def test_every_tool_reads_the_bag(imported: Import, tmp_path: Path) -> None:
    """`rosbags` and the public MCAP readers, with the definitions that the bag brings."""
    from mcap.reader import make_reader
    from mcap_ros2.decoder import DecoderFactory

    messages, true = robot_messages()
    run = imported(write_bag(tmp_path / "bag", messages), "conf=robot")
    bag = export_rosbag2(run, tmp_path / "again")
    info = yaml.safe_load((bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    counts = {each["topic_metadata"]["name"]: each["message_count"] for each in info["topics_with_message_count"]}
    assert counts["/imu"] == counts["/imu/agent"] == len(true["captured"])
    with (bag / info["relative_file_paths"][0]).open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        decoded = [message for _, channel, _, message in reader.iter_decoded_messages() if channel.topic == "/imu"]
    assert [message.seq for message in decoded] == list(range(len(decoded)))
    np.testing.assert_allclose([message.output_gyro[1] for message in decoded], 0.1 * np.arange(len(decoded)))


def test_what_cannot_be_exported_is_one_line(
    imported: Import, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    messages, _ = robot_messages(0.5)
    run = imported(write_bag(tmp_path / "bag", messages), "conf=robot")
    assert main(["export", str(run.path), "--to", "rosbag"]) == 2
    assert "did you mean 'rosbag2'?" in capsys.readouterr().err
    assert main(["export", str(run.path), "--to", "csv", "--storage", "mcap"]) == 2
    assert main(["export", str(run.path), "--to", "rosbag2", "--storage", "sqlite"]) == 2
    assert "did you mean 'sqlite3'?" in capsys.readouterr().err
    assert main(["export", str(run.path), "--to", "rosbag2"]) == 0
    assert main(["export", str(run.path), "--to", "rosbag2"]) == 2
    assert "is there already" in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "rosbags.rosbag2", None)
    with pytest.raises(RexError, match=r"pip install 'rexcli\[import\]'"):
        export_run(str(run.path), "rosbag2", str(tmp_path / "other"))
    assert find_run("latest", run.path.parents[2]).path == run.path
