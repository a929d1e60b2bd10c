"""Chunk by chunk, the summary of a long file says where everything is, and takes no memory before it is written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from mcap.opcode import Opcode
from mcap.reader import make_reader

from rexcli.runs.recording.appender import Appender
from rexcli.runs.recording.chunks import ChunkWriter
from rexcli.runs.recording.layout import MESSAGES
from rexcli.runs.recording.series import RECENT

CHUNKS = RECENT // 3


def test_the_summary_finds_every_chunk_and_every_index(tmp_path: Path) -> None:
    path = tmp_path / "long.mcap"
    file = Appender(os.open(path, os.O_RDWR | os.O_CREAT))
    writer = ChunkWriter(file)
    writer.begin("test")
    channels = [writer.add_channel(f"/{name}", "cdr", 0, {}) for name in "ab"]
    for number in range(CHUNKS):
        runs = [MESSAGES.blank(np.array([number])) for _ in channels[: 1 + number % 2]]
        for run, channel in zip(runs, channels, strict=False):
            run["channel"], run["logged"], run["published"] = channel, 1_000 + number, 1_000 + number
        writer.add(runs)
        file.flush()
    assert len(writer._chunks._newest) <= 2 * RECENT < 8 * CHUNKS
    writer.finish()
    file.finish()
    data = path.read_bytes()
    with path.open("rb") as stream:
        summary = make_reader(stream).get_summary()
    assert summary is not None
    assert summary.statistics is not None
    assert summary.statistics.channel_message_counts == {channels[0]: CHUNKS, channels[1]: CHUNKS // 2}
    assert [each.message_start_time for each in summary.chunk_indexes] == list(range(1_000, 1_000 + CHUNKS))
    for number, each in enumerate(summary.chunk_indexes):
        assert data[each.chunk_start_offset] == Opcode.CHUNK
        assert list(each.message_index_offsets) == channels[: 1 + number % 2]
        assert all(data[offset] == Opcode.MESSAGE_INDEX for offset in each.message_index_offsets.values())
        last = max(each.message_index_offsets.values())
        end = each.chunk_start_offset + each.chunk_length + each.message_index_length
        assert end == last + 9 + int.from_bytes(data[last + 1 : last + 9], "little")
