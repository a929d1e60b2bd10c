"""Reads a recording's file as far as it is undamaged."""

from __future__ import annotations

import logging
import struct
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

import numpy as np
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.records import Channel, Chunk, DataEnd, McapRecord, Message, MessageIndex, Metadata, Schema
from mcap.stream_reader import breakup_chunk, get_chunk_data_stream

from rexcli.errors import RexError
from rexcli.runs.formats import decode_json
from rexcli.runs.recording.appender import MAGIC
from rexcli.runs.recording.images import Images
from rexcli.runs.recording.json_records import JsonPart, last_episode
from rexcli.runs.recording.layout import Layout, Leaf
from rexcli.runs.recording.parts import CdrPart, ImagePart, Part, Run
from rexcli.timeline.arrays import spec_from_json
from rexcli.timeline.spec import SystemTiming

CHUNK_LIMIT = 2**30
"""The largest unpacked size of a chunk, bytes; no writer makes chunks nearly as large."""

DAMAGE = (
    *(ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, MemoryError, EOFError, RuntimeError),
    *(struct.error, McapError, RexError),
)
"""Exceptions that reading damaged data raises."""

AHEAD, AHEAD_BYTES = 2, 2**26
"""The number of chunks that are unpacked in advance, and the largest size of such a chunk, bytes."""

FORMATS = ("1", "2", "3")
"""Formats that can be read; `encoder.FORMAT` is the one that is written."""

_HEAD = struct.Struct("<BQH")
"""The beginning of an MCAP record: opcode, length of the rest and, for a message, its channel."""
_BEFORE_REST = 9
_READ: dict[int, Any] = {
    Opcode.SCHEMA: Schema,
    Opcode.CHANNEL: Channel,
    Opcode.CHUNK: Chunk,
    Opcode.METADATA: Metadata,
    Opcode.DATA_END: DataEnd,
}
_READ_INDEXES = {**_READ, Opcode.MESSAGE_INDEX: MessageIndex}
_NONE: dict[int, Any] = {}

log = logging.getLogger("rex.recording")

OnDamage = Callable[[str], None]
R = TypeVar("R", McapRecord, McapRecord | None)
T = TypeVar("T")


class Block(NamedTuple):
    """Some leaves, `[records, ...]` each, of the records `rows`, `[records]`, of a part."""

    part: Part
    rows: np.ndarray
    leaves: dict[Leaf, np.ndarray]


def read_blocks(path: Path, wanted: Sequence[tuple[Part, Sequence[Leaf], np.ndarray]]) -> Iterator[Block]:
    """Reads leaves in one pass through the file, unpacking each needed chunk once; keeps the order within a part.

    Args:
        path: the file.
        wanted: parts, the leaves to read of each, and a mask of its records, bool `[records]`.
    """
    sources: list[tuple[CdrPart, ImagePart | None, Sequence[Leaf], np.ndarray]] = []
    for part, leaves, use in wanted:
        if isinstance(part, JsonPart):
            rows = np.flatnonzero(use)
            yield Block(part, rows, {leaf: values[rows] for leaf, values in part.leaves(leaves).items()})
        elif isinstance(part, CdrPart):
            images = [part.images[leaf] for leaf in leaves if leaf in part.images]
            plain = [leaf for leaf in leaves if leaf not in part.images]
            sources += [(part, image, (), use) for image in images] + ([(part, None, plain, use)] if plain else [])
    runs: list[tuple[Run, int, int]] = []
    for place, (part, image, _, use) in enumerate(sources):
        there = part.runs() if image is None else image.runs(part)
        firsts = np.cumsum([0, *(run.length for run in there)]).tolist()
        found = zip(there, firsts, strict=False)
        runs += [(run, first, place) for run, first in found if use[first : first + run.length].any()]
    runs.sort(key=lambda each: each[0].chunk)

    groups = [(chunk, list(group)) for chunk, group in groupby(runs, key=lambda each: each[0].chunk)]
    with path.open("rb") as file:
        size = path.stat().st_size

        def chunks() -> Iterator[tuple[McapRecord | None, list[tuple[Run, int, int]]]]:
            for place, group in groups:
                file.seek(place)
                yield _read_record(file, size), group

        for _, group, data in unpacked(chunks()):
            for run, first, place in group:
                part, image, leaves, use = sources[place]
                rows = np.flatnonzero(use[first : first + run.length])
                if image is None:
                    values = part.read(data, run, rows, leaves)
                else:
                    values = image.read(data, run, rows, part.headers()["seq"][first + rows])
                yield Block(part, first + rows, values)


def unpacked(records: Iterator[tuple[R, T]]) -> Iterator[tuple[R, T, bytes]]:
    """Yields the records, each with its unpacked content if it is a chunk, else with empty bytes.

    A thread unpacks small chunks in advance, which releases Python's interpreter lock. Errors of `records` or of
    unpacking are raised after all earlier records were yielded.
    """
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[tuple[R, T, Future[bytes]]] = deque()
        last: Exception | None = None
        while last is None:
            try:
                record, more = next(records)
            except Exception as error:
                last = error
            else:
                waiting.append((record, more, pool.submit(_content, record)))
            large = bool(waiting) and _size(waiting[-1][0]) > AHEAD_BYTES
            while waiting and (last is not None or large or len(waiting) > AHEAD):
                first, more, content = waiting.popleft()
                yield first, more, content.result()
        if not isinstance(last, StopIteration):
            raise last


def _size(record: McapRecord | None) -> int:
    """Returns the unpacked size that a chunk states, bytes; 0 for any other record."""
    return record.uncompressed_size if isinstance(record, Chunk) else 0


def _content(record: McapRecord | None) -> bytes:
    return _unpack(record) if isinstance(record, Chunk) else b""


@dataclass
class Content:
    """The content of a recording: the system, additional notes, the records, and how they end."""

    spec: SystemTiming
    info: dict[str, Any]
    parts: list[Part]
    complete: bool
    damaged: bool
    last_episode: int | None


def read_records(path: Path, on_damage: OnDamage) -> Iterator[McapRecord]:
    """Yields all records of the data section, chunk by chunk, up to the first broken one; then calls `on_damage`.

    Raises:
        RexError: the file cannot be read, or is not an MCAP file.
    """
    for record, _, _ in _whole_records(path, on_damage):
        yield from breakup_chunk(record) if isinstance(record, Chunk) else [record]


def read_file(path: Path) -> Content:
    """Reads a recording; of a damaged one, what is whole.

    Raises:
        RexError: the file is not a recording or contradicts itself; the message names it.
    """
    problems: list[str] = []
    reading = _Reading()
    try:
        channels, skip = _image_chunks(path)
        for channel in channels:
            reading.add_channel(channel, CdrPart)
        for record, place, data in _whole_records(path, problems.append, skip):
            if isinstance(record, Metadata):
                reading.metadata[record.name] = record.metadata
            elif isinstance(record, Chunk):
                reading.add_chunk(record, place, data)
            elif isinstance(record, MessageIndex):
                reading.parts[record.channel_id].add_index(place, sorted(at for _, at in record.records))
        if "rex" not in reading.metadata:
            what = f"damaged: {problems[0]}" if problems else "an MCAP file, but no recording of `rex record`"
            raise RexError(what)
        about = reading.metadata["rex"]
        if about["format"] not in FORMATS:
            raise RexError(
                f"a recording of format {about['format']}, which this version does not know; install a newer"
            )
        content = Content(
            spec=spec_from_json(about["spec"]),
            info=dict(decode_json(about["info"])),
            parts=reading.joined(),
            complete=reading.metadata.get("rex.end", {}).get("complete") == "true" and not problems,
            damaged=bool(problems),
            last_episode=reading.last_episode,
        )
    except DAMAGE as error:
        if isinstance(error, RexError) and str(error).startswith(str(path)):
            raise
        raise broken(path, error) from None
    if problems:
        log.warning("%s: broken off (%s); reading the whole chunks before", path, problems[0])
    return content


def broken(path: Path, error: BaseException) -> RexError:
    """Returns the error that says which file is damaged and how."""
    return RexError(f"{path}: {error if isinstance(error, RexError) else f'damaged: {type(error).__name__} {error}'}")


class _Reading:
    """What has been read of a file so far."""

    def __init__(self) -> None:
        self.metadata: dict[str, dict[str, str]] = {}
        self.parts: dict[int, Any] = {}
        self.last_episode: int | None = None
        self._images: dict[tuple[str, Layout], dict[Leaf, ImagePart]] = {}

    def add_chunk(self, chunk: Chunk, place: int, data: bytes) -> None:
        """Notes the records in a chunk with the unpacked content `data`."""
        if self.metadata.get("rex", {}).get("format") == "1":
            for record in breakup_chunk(chunk):
                if isinstance(record, Channel):
                    self.add_channel(record, JsonPart)
                elif isinstance(record, Message):
                    self.parts[record.channel_id].add(record.data)
                    self.last_episode = last_episode(record.data)
            return
        at = 0
        while at + _HEAD.size <= len(data):
            opcode, size, number = _HEAD.unpack_from(data, at)
            end = at + _BEFORE_REST + size
            if opcode == Opcode.CHANNEL:
                channel = Channel.read(ReadDataStream(BytesIO(data[at + _BEFORE_REST : end])))
                self.add_channel(channel, CdrPart)
            elif opcode == Opcode.MESSAGE and self.parts[number].error is None:
                part = self.parts[number]
                try:
                    records = part.records.run(data, at)
                    part.add(records, place, at)
                    if isinstance(part, CdrPart):
                        self.last_episode = max(self.last_episode or 0, int(records["episode"].max()))
                    end = at + records.nbytes
                except DAMAGE as error:
                    part.error = error
            at = end

    def add_channel(self, channel: Channel, part: Callable[..., Any]) -> None:
        """Notes a channel whose records `part` collects."""
        if channel.id in self.parts:
            return
        kind, name = channel.metadata.get("kind", ""), channel.metadata.get("name", "")
        layout = Layout.from_json(channel.metadata["layout"]) if kind in ("node", "image") else None
        if kind == "image" and layout is not None:
            leaf = layout.leaves[int(channel.metadata["leaf"])]
            self.parts[channel.id] = self._images.setdefault((name, layout), {})[leaf] = ImagePart(Images(name, leaf))
        else:
            self.parts[channel.id] = part(kind, name, layout)

    def joined(self) -> list[Part]:
        """Returns the parts, each with its images."""
        found = [part for part in self.parts.values() if not isinstance(part, ImagePart)]
        for part in found:
            if isinstance(part, CdrPart) and part.layout is not None and part.layout.images:
                leaves = [part.layout.leaves[number] for number in part.layout.images]
                images = self._images.get((part.name, part.layout), {})
                part.images = {leaf: images.get(leaf) or ImagePart(Images(part.name, leaf)) for leaf in leaves}
        return found


def _image_chunks(path: Path) -> tuple[list[Channel], set[int]]:
    """Returns the channels of a finished file with images, and the places of the chunks that hold only images.

    Only in a finished file is a chunk known to be whole without unpacking it. For any other file both are empty.
    """
    try:
        with path.open("rb") as file:
            summary = make_reader(file, validate_crcs=True).get_summary()
    except (OSError, *DAMAGE):
        return [], set()
    channels = [] if summary is None else list(summary.channels.values())
    images = {channel.id for channel in channels if channel.metadata.get("kind") == "image"}
    if summary is None or not images:
        return [], set()
    held = [(chunk.chunk_start_offset, set(chunk.message_index_offsets)) for chunk in summary.chunk_indexes]
    return channels, {place for place, numbers in held if numbers and numbers <= images}


def _whole_records(
    path: Path, on_damage: OnDamage, skip: Collection[int] = ()
) -> Iterator[tuple[McapRecord, int, bytes]]:
    """Yields the undamaged records of the data section, where each begins, and the content of chunks.

    A chunk that begins at `skip` is replaced by its message indexes, with the place of the chunk.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise RexError(f"{path}: damaged: not an MCAP file")
            whole = unpacked(_records(file, path.stat().st_size, skip))
            while True:
                try:
                    found = next(whole, None)
                except DAMAGE as error:
                    on_damage(f"{type(error).__name__} {error}".strip())
                    return
                if found is None:
                    return
                yield found
    except OSError as error:
        raise RexError(f"{path}: cannot be read: {error.strerror or error}") from None


def _records(file: BinaryIO, size: int, skip: Collection[int]) -> Iterator[tuple[McapRecord, int]]:
    """Yields the records of the data section, and where each begins; for chunks at `skip`, their message indexes."""
    skipped: int | None = None
    while True:
        place = file.tell()
        record = _read_record(file, size, _NONE if place in skip else _READ if skipped is None else _READ_INDEXES)
        if isinstance(record, DataEnd):
            return
        if place in skip:
            skipped = place
        elif isinstance(record, MessageIndex) and skipped is not None:
            yield record, skipped
        elif record is not None:
            skipped = None
            yield record, place


def _read_record(file: BinaryIO, size: int, kinds: Mapping[int, Any] = _READ) -> McapRecord | None:
    """Reads the next record of a file of `size` bytes; None if it is of none of `kinds`.

    (`mcap`'s own reader would make a Python object of each entry of an index.)
    """
    head = file.read(_BEFORE_REST)
    if len(head) < _BEFORE_REST:
        raise EOFError("no end")
    opcode, length = struct.unpack("<BQ", head)
    end = file.tell() + length
    if end > size:
        raise EOFError(f"a record of {length} bytes")
    record = kinds[opcode].read(ReadDataStream(file)) if opcode in kinds else None
    if opcode == Opcode.MESSAGE:  # outside of a chunk, as other programs than `rex` write it
        record = Message.read(ReadDataStream(file), length)
    file.seek(end)
    return record


def _unpack(chunk: Chunk) -> bytes:
    """Returns the content of a chunk; raises one of `DAMAGE`."""
    if chunk.uncompressed_size > CHUNK_LIMIT:
        raise ValueError(f"a chunk of {chunk.uncompressed_size} bytes")
    try:
        stream, length = get_chunk_data_stream(chunk, validate_crc=True)
    except DAMAGE:
        raise
    except Exception as error:  # the decompressors' errors have no common base class
        raise ValueError(repr(error)) from error
    return stream.read(length)
