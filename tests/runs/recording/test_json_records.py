"""Recordings of the first format, whose records are JSON, and such as a stranger may have made of them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap.writer import Writer

from rexcli.errors import RexError
from rexcli.runs.recording import read_recording
from tests.runs.executions import chain_timeline, recorded


def forged(path: Path, step: dict[str, object] | None = None, **metadata: str) -> Path:
    """A recording from a stranger, in the JSON of earlier versions: one step of `agent`, which says what it likes."""
    with tempfile.TemporaryDirectory() as folder:
        honest = recorded(Path(folder, "r.mcap"), chain_timeline(episodes=1, steps=1))
        with honest.open("rb") as file:
            about = next(record for record in make_reader(file).iter_metadata() if record.name == "rex").metadata
    layout = {"fields": ["output"], "leaves": [{"field": "output", "path": "", "dtype": "float32", "shape": [2]}]}
    message = {"episode": 0, "seq": 0, "ts_start": 0, "ts_end": 1, "output": [1, 2], **(step or {})}
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start()
        told = {key: value for key, value in metadata.items() if key in about}
        writer.add_metadata("rex", {**about, "format": "1", **told})
        channel = {"kind": "node", "name": "agent", "layout": json.dumps(layout), **metadata}
        schema = writer.register_schema("x", "jsonschema", b"{}")
        writer.add_message(
            writer.register_channel("/agent", "json", schema, channel), 0, json.dumps(message).encode(), 0
        )
        writer.finish()
    return path


OBJECT_LAYOUT = '{"fields": ["output"], "leaves": [{"field": "output", "path": "", "dtype": "object", "shape": []}]}'


GIANT_LAYOUT = OBJECT_LAYOUT.replace("object", "int8").replace("[]}", "[1000000, 1000000]}")


@pytest.mark.parametrize(
    ("step", "metadata"),
    [
        ({"output": [1]}, {}),
        ({"output": {"a": 1}}, {}),
        ({"output": ["x", "y"]}, {}),
        ({"output": None}, {}),
        ({"seq": "zero"}, {}),
        ({"seq": 2**80}, {}),
        ({"episode": 10**9}, {}),
        ({}, {"layout": "{}"}),
        ({}, {"layout": "[" * 100_000}),
        ({}, {"layout": OBJECT_LAYOUT}),
        ({}, {"layout": GIANT_LAYOUT}),
        ({}, {"spec": "{}"}),
        ({}, {"spec": "null"}),
        ({}, {"info": "[1]"}),
        ({}, {"format": "4"}),
    ],
)
def test_a_strangers_recording_is_refused_by_name(
    tmp_path: Path, step: dict[str, object], metadata: dict[str, str]
) -> None:
    assert forged(tmp_path / "fine.mcap").exists()
    np.testing.assert_array_equal(read_recording(tmp_path / "fine.mcap").values("agent", "output")[""], [[[1, 2]]])
    path = forged(tmp_path / "forged.mcap", step, **metadata)
    with pytest.raises(RexError, match=r"forged\.mcap"):
        read_recording(path).values("agent", "output")


def test_times_that_run_backwards_are_refused(tmp_path: Path) -> None:
    path = forged(tmp_path / "r.mcap", {"ts_start": 5, "ts_end": 1})
    with pytest.raises(RexError, match=r"r\.mcap: damaged: the steps of node 'agent' go back in time"):
        read_recording(path).timeline()
