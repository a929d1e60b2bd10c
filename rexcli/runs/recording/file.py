"""A recording's file, read as far as it is whole."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mcap.exceptions import McapError
from mcap.records import Channel, Chunk, DataEnd, McapRecord, Message, Metadata
from mcap.stream_reader import StreamReader, breakup_chunk

from rexcli.errors import RexError
from rexcli.runs.formats import decode_json
from rexcli.runs.recording.appender import MAGIC
from rexcli.runs.recording.layout import MESSAGE_HEADER, STEP_HEADER, Layout, header_columns, parse
from rexcli.timeline.spec import NEVER, SystemTiming
from rexcli.timeline.storage import spec_from_json
from rexcli.timeline.timeline import Times

BLOCK = 2048
"""Records that are parsed at a time."""

CHUNK_LIMIT = 2**30
"""Bytes that a chunk may unpack to; no writer makes one near it."""

DAMAGE = (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, MemoryError, RexError)
"""What reading of data that is not what it should be raises."""

log = logging.getLogger("rex.recording")


Block = tuple[dict[str, Times], list[np.ndarray]]
"""Headers of some records, int64 by name, and their leaves, each `[records, ...]`."""


@dataclass
class Part:
    """The records of one MCAP channel: steps of a node in one layout, or messages of an edge.

    They are parsed as they come, a block at a time, so that no more of them is held than their numbers.

    Attributes:
        count: how many there are.
        error: what parsing raised; the records from there on are left out.
    """

    kind: str
    name: str
    layout: Layout | None
    count: int = 0
    error: BaseException | None = None
    _texts: list[bytes] = field(default_factory=list)
    _blocks: list[Block] = field(default_factory=list)

    def add(self, text: bytes) -> None:
        """One more record, JSON."""
        self.count += 1
        if self.error is None:
            self._texts.append(text)
            if len(self._texts) == BLOCK:
                self._parse()

    def records(self) -> Block:
        """Headers and leaves of all records.

        Raises:
            One of `DAMAGE`: a record that is not laid out as the part says.
        """
        if self.error is None and (self._texts or not self._blocks):
            self._parse()
        if self.error is not None:
            raise self.error
        if len(self._blocks) > 1:
            headers = {name: np.concatenate([block[0][name] for block in self._blocks]) for name in self._blocks[0][0]}
            leaves = [np.concatenate(arrays) for arrays in zip(*(block[1] for block in self._blocks), strict=True)]
            self._blocks = [(headers, leaves)]
        return self._blocks[0]

    def _parse(self) -> None:
        texts, self._texts = self._texts, []
        try:
            records = parse(texts)
            names = MESSAGE_HEADER if self.layout is None else STEP_HEADER
            leaves = [] if self.layout is None else self.layout.decode(records)
            self._blocks.append((header_columns(records, names, NEVER), leaves))
        except DAMAGE as error:
            self.error, self._blocks = error, []


@dataclass
class Content:
    """What a file holds: the system, what was noted besides, the records, and how they end."""

    spec: SystemTiming
    info: dict[str, Any]
    parts: list[Part]
    complete: bool
    damaged: bool
    last_episode: int | None


def read_records(path: Path, on_damage: Callable[[str], None]) -> Iterator[McapRecord]:
    """All records of the data section, chunk by chunk, up to the first that is broken; then calls `on_damage`.

    Raises:
        RexError: the file cannot be read, or is no MCAP file.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise RexError(f"{path}: damaged: not an MCAP file")
            file.seek(0)
            yield from _whole_records(file, path.stat().st_size, on_damage)
    except OSError as error:
        raise RexError(f"{path}: cannot be read: {error.strerror or error}") from None


def _whole_records(file: Any, size: int, on_damage: Callable[[str], None]) -> Iterator[McapRecord]:
    records = StreamReader(file, emit_chunks=True, record_size_limit=size).records
    while True:
        try:
            record = next(records)
            if isinstance(record, DataEnd):
                return
            if isinstance(record, Chunk) and record.uncompressed_size > CHUNK_LIMIT:
                raise ValueError(f"a chunk of {record.uncompressed_size} bytes")
            inside = breakup_chunk(record, validate_crc=True) if isinstance(record, Chunk) else [record]
        except StopIteration:
            return
        except OSError:
            raise
        except (McapError, struct.error, EOFError, RuntimeError, *DAMAGE) as error:
            on_damage(f"{type(error).__name__} {error}".strip())
            return
        except Exception as error:
            # What the decompressors raise has no common base of its own.
            on_damage(repr(error))
            return
        yield from inside


def read_file(path: Path) -> Content:
    """Reads a recording, or of a damaged one what is whole.

    Raises:
        RexError: it is not a recording, or it contradicts itself; the message names the file.
    """
    problems: list[str] = []
    metadata: dict[str, dict[str, str]] = {}
    parts: dict[int, Part] = {}
    last: bytes | None = None
    try:
        for record in read_records(path, problems.append):
            if isinstance(record, Metadata):
                metadata[record.name] = record.metadata
            elif isinstance(record, Channel):
                parts.setdefault(record.id, _part(record))
            elif isinstance(record, Message):
                last = record.data
                parts[record.channel_id].add(last)
        if "rex" not in metadata:
            what = f"damaged: {problems[0]}" if problems else "an MCAP file, but no recording of `rex record`"
            raise RexError(what)
        content = Content(
            spec=spec_from_json(metadata["rex"]["spec"]),
            info=dict(decode_json(metadata["rex"]["info"])),
            parts=list(parts.values()),
            complete=metadata.get("rex.end", {}).get("complete") == "true" and not problems,
            damaged=bool(problems),
            last_episode=None if last is None else int(parse([last])[0]["episode"]),
        )
    except DAMAGE as error:
        if isinstance(error, RexError) and str(error).startswith(str(path)):
            raise
        raise broken(path, error) from None
    if problems:
        log.warning("%s: broken off (%s); reading the whole chunks before", path, problems[0])
    return content


def broken(path: Path, error: BaseException) -> RexError:
    """The error that says which file is damaged and how."""
    return RexError(f"{path}: {error if isinstance(error, RexError) else f'damaged: {type(error).__name__} {error}'}")


def _part(channel: Channel) -> Part:
    kind = channel.metadata.get("kind", "")
    layout = Layout.from_json(channel.metadata["layout"]) if kind == "node" else None
    return Part(kind, channel.metadata.get("name", ""), layout)
