"""Writes an MCAP file chunk by chunk, each from whole arrays of records."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import zstandard
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)

from rexcli.runs.recording.appender import MAGIC, Appender
from rexcli.runs.recording.series import Series

CHUNK_BYTES = 4 * 2**20
COMPRESSION, LEVEL = "zstd", 1

_INDEX = np.dtype([("time", "<u8"), ("offset", "<u8")])
_INDEX_HEAD = struct.Struct("<BQHI")


class ChunkWriter:
    """Writes chunks, their indexes and, at the end, the summary.

    `mcap.Writer` writes one message at a time, which is a hundred times slower. The summary's facts about chunks are
    kept as integers, mostly in a file, so that hours of recording take no more memory than minutes.

    Args:
        file: the file to append to.
    """

    def __init__(self, file: Appender):
        self._file = file
        self._schemas: list[Schema] = []
        self._channels: list[Channel] = []
        self._counts: dict[int, int] = {}
        self._new: list[McapRecord] = []
        self._chunks = Series()
        self._metadata: list[MetadataIndex] = []

    def begin(self, library: str) -> None:
        """Writes the beginning of an MCAP file."""
        self._file.write(MAGIC + _bytes(Header(profile="", library=library)))

    def add_metadata(self, name: str, values: dict[str, str]) -> None:
        """Writes a metadata record of texts by name."""
        data = _bytes(Metadata(name=name, metadata=values))
        self._metadata.append(MetadataIndex(offset=self._file.tell(), length=len(data), name=name))
        self._file.write(data)

    def add_schema(self, name: str, encoding: str, data: bytes) -> int:
        """Writes a schema and returns its number, for `add_channel`."""
        self._schemas.append(Schema(id=len(self._schemas) + 1, name=name, encoding=encoding, data=data))
        self._new.append(self._schemas[-1])
        return self._schemas[-1].id

    def add_channel(self, topic: str, encoding: str, schema: int, metadata: dict[str, str]) -> int:
        """Writes a channel and returns its number, for the records."""
        number = len(self._channels) + 1
        self._channels.append(
            Channel(id=number, topic=topic, message_encoding=encoding, schema_id=schema, metadata=metadata)
        )
        self._new.append(self._channels[-1])
        return number

    def add(self, runs: Sequence[np.ndarray]) -> None:
        """Writes records, in chunks of about `CHUNK_BYTES`.

        Args:
            runs: arrays of `layout.Records`, one channel each.
        """
        chunk: list[np.ndarray] = []
        room = CHUNK_BYTES
        for run in runs:
            while len(run):
                some = run[: max(1, room // run.itemsize)]
                run = run[len(some) :]
                chunk.append(some)
                room -= some.nbytes
                if room <= 0 or len(run):
                    self._add_chunk(chunk)
                    chunk, room = [], CHUNK_BYTES
        if chunk:
            self._add_chunk(chunk)

    def finish(self) -> None:
        """Writes the remaining data and the summary."""
        self._file.write(_bytes(DataEnd(data_section_crc=0)))
        start = self._file.tell()
        chunks = list(_chunk_indexes(self._chunks.all().tolist()))
        times = [(chunk.message_start_time, chunk.message_end_time) for chunk in chunks]
        statistics = Statistics(
            attachment_count=0,
            channel_count=len(self._channels),
            channel_message_counts=self._counts,
            chunk_count=len(chunks),
            message_count=sum(self._counts.values()),
            message_start_time=min((first for first, _ in times), default=0),
            message_end_time=max((last for _, last in times), default=0),
            metadata_count=len(self._metadata),
            schema_count=len(self._schemas),
        )
        groups: list[tuple[Opcode, Sequence[McapRecord]]] = [
            (Opcode.SCHEMA, self._schemas),
            (Opcode.CHANNEL, self._channels),
            (Opcode.STATISTICS, [statistics]),
            (Opcode.CHUNK_INDEX, chunks),
            (Opcode.METADATA_INDEX, self._metadata),
        ]
        summary, offsets = b"", b""
        for opcode, records in groups:
            data = b"".join(map(_bytes, records))
            offset = SummaryOffset(group_opcode=opcode, group_start=start + len(summary), group_length=len(data))
            summary += data
            offsets += _bytes(offset) if data else b""
        begin = start + len(summary)
        crc = zlib.crc32(struct.pack("<BQQQ", Opcode.FOOTER, 20, start, begin), zlib.crc32(summary + offsets))
        footer = Footer(summary_start=start, summary_offset_start=begin, summary_crc=crc)
        self._file.write(summary + offsets + _bytes(footer) + MAGIC)

    def _add_chunk(self, runs: Sequence[np.ndarray]) -> None:
        head = b"".join(map(_bytes, self._new))
        self._new = []
        data = b"".join([head, *(run.view(np.uint8).data for run in runs)])
        index: dict[int, list[np.ndarray]] = {}
        at = len(head)
        for run in runs:
            entries = np.empty(len(run), _INDEX)
            entries["time"], entries["offset"] = run["logged"], np.arange(at, at + run.nbytes, run.itemsize)
            index.setdefault(int(run["channel"][0]), []).append(entries)
            at += run.nbytes
        first, last = (int(pick([pick(run["logged"]) for run in runs])) for pick in (np.min, np.max))
        packed = zstandard.compress(data, LEVEL)
        chunk = _bytes(
            Chunk(
                compression=COMPRESSION,
                data=packed,
                message_start_time=first,
                message_end_time=last,
                uncompressed_crc=zlib.crc32(data),
                uncompressed_size=len(data),
            )
        )
        start = self._file.tell()
        self._file.write(chunk)
        offsets = self._add_index(index)
        entry = [len(offsets), start, len(chunk), self._file.tell(), len(packed), len(data), first, last]
        for number in (*entry, *(each for pair in offsets.items() for each in pair)):
            self._chunks.add(number)
        self._chunks.move()

    def _add_index(self, index: Mapping[int, Sequence[np.ndarray]]) -> dict[int, int]:
        """Writes the message index of a chunk; returns the place of each index by channel."""
        offsets = {}
        for channel, parts in index.items():
            entries = np.concatenate(parts)
            entries = entries[np.argsort(entries["time"], kind="stable")]
            offsets[channel] = self._file.tell()
            self._counts[channel] = self._counts.get(channel, 0) + len(entries)
            head = _INDEX_HEAD.pack(Opcode.MESSAGE_INDEX, 6 + entries.nbytes, channel, entries.nbytes)
            self._file.write(head + entries.tobytes())
        return offsets


def _chunk_indexes(numbers: Sequence[int]) -> Iterator[ChunkIndex]:
    """Yields the summary's entry for each chunk, from the numbers that `_add_chunk` noted."""
    at = 0
    while at < len(numbers):
        channels, start, length, end, packed, size, first, last = numbers[at : at + 8]
        offsets = numbers[at + 8 : at + 8 + 2 * channels]
        at += 8 + 2 * channels
        yield ChunkIndex(
            chunk_length=length,
            chunk_start_offset=start,
            compression=COMPRESSION,
            compressed_size=packed,
            message_end_time=last,
            message_index_length=end - start - length,
            message_index_offsets=dict(zip(offsets[::2], offsets[1::2], strict=True)),
            message_start_time=first,
            uncompressed_size=size,
        )


def _bytes(record: McapRecord) -> bytes:
    builder = RecordBuilder()
    record.write(builder)
    return builder.end()
