"""Weights & Biases has one run for each training, also for one that goes on."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from rexcli.rl.loggers import WandB
from tests.rl.loggers.told import write

pytest.importorskip("wandb")

BLOCK = 2**15


def offline_rows(file: Path) -> list[dict[str, str]]:
    """The rows of history in a file of Weights & Biases, which is a log of LevelDB behind seven bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, rows, at, whole = file.read_bytes(), [], 7, b""
    while at + 7 <= len(data):
        if at % BLOCK > BLOCK - 7:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = Record.FromString(whole)
            whole = b""
            if record.WhichOneof("record_type") == "history":
                rows.append({item.key or "/".join(item.nested_key): item.value_json for item in record.history.item})
    return rows


def test_weights_and_biases_offline_keeps_one_run(tmp_path):
    artifacts = write(WandB(mode="offline", tags=["a"]), tmp_path, 1, 2)
    note = (tmp_path / "wandb.json").read_text()
    (log,) = [name for name in artifacts if name.endswith(".wandb")]
    rows = offline_rows(tmp_path / log)
    assert [row["_step"] for row in rows] == ["100", "200"]
    assert float(rows[0]["eval/return_mean"]) == -98.5
    assert float(rows[0]["eval/return_mean/seed_1"]) == -98.0
    again = write(WandB(mode="offline"), tmp_path, 3, since=2)
    assert (tmp_path / "wandb.json").read_text() == note
    assert len(again) == 3  # the note and two files of one run
    assert len({name.rpartition("run-")[2] for name in again if name.endswith(".wandb")}) == 1
