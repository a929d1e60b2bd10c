"""TensorBoard shows what was logged, and of a training that goes on every step once."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from rexcli.rl.loggers import TensorBoard
from tests.rl.loggers.told import write

pytest.importorskip("tensorboardX")


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard would show: scalars by name over steps, those after a restart's step purged."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted(folder.iterdir(), key=lambda path: path.stat().st_ctime_ns):
        data = file.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            if event.session_log.status == event.session_log.START and event.HasField("session_log"):
                found = {name: [pair for pair in pairs if pair[0] < event.step] for name, pairs in found.items()}
            for value in event.summary.value:
                if value.WhichOneof("value") == "simple_value":
                    found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_tensorboard_has_a_folder_a_seed_and_goes_on(tmp_path):
    assert write(TensorBoard(), tmp_path, 1, 2, 3) == ["tensorboard"]
    before = scalars(tmp_path / "tensorboard" / "seed_1")
    assert before["eval/return_mean"] == [(100, -98.0), (200, -97.0), (300, -96.0)]
    assert "train/grad_norm" not in before  # never finite
    write(TensorBoard(), tmp_path, 3, 4, since=2)
    after = scalars(tmp_path / "tensorboard" / "seed_1")
    assert [step for step, _ in after["train/kl"]] == [100, 200, 300, 400]
