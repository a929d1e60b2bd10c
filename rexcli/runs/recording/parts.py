"""Describes a recording's file channel by channel: where records are, and the integers of their headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from rexcli.runs.recording.images import Images
from rexcli.runs.recording.layout import LOST, MESSAGES, Layout, Leaf, Records
from rexcli.timeline.spec import NEVER


class Part(Protocol):
    """The records of one MCAP channel: steps of a node in one layout, or messages of an edge (`layout` is None).

    `headers` and `read_blocks` raise one of `file.DAMAGE` for a record with another layout.
    """

    kind: str
    name: str
    layout: Layout | None
    count: int

    def headers(self) -> dict[str, np.ndarray]:
        """Returns the integers of all records by name, `[records]`; the arrival of a lost message is `NEVER`."""


@dataclass
class CdrPart:
    """Records whose headers are in memory and whose arrays are read from the file when they are needed.

    Attributes:
        count: number of records.
        error: the exception raised by reading; the records from there on are left out.
        images: the places of the leaves that are images.
    """

    kind: str
    name: str
    layout: Layout | None
    count: int = 0
    error: BaseException | None = None
    images: Mapping[Leaf, ImagePart] = field(default_factory=dict)
    _runs: list[Run] = field(default_factory=list)
    _headers: list[dict[str, np.ndarray]] = field(default_factory=list)

    @property
    def records(self) -> Records:
        return MESSAGES if self.layout is None else self.layout.records

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(name for name in self.records.header if name != "ts_sent")  # which is when the step ended

    def add(self, records: np.ndarray, chunk: int, at: int) -> None:
        """Notes consecutive records in a chunk, from byte `at` on."""
        self.count += len(records)
        self._runs.append(Run(chunk, at, len(records)))
        self._headers.append({name: _column(name, records[name]) for name in self._names})

    def headers(self) -> dict[str, np.ndarray]:
        if self.error is not None:
            raise self.error
        if len(self._headers) != 1:
            none = {name: no_column(name) for name in self._names}
            blocks, self._headers = [none, *self._headers], []
            self._headers = [{name: np.concatenate([block.pop(name) for block in blocks]) for name in self._names}]
        headers = dict(self._headers[0])
        if self.layout is None:
            headers["ts_recv"] = np.where(headers["ts_recv"] == LOST, NEVER, headers["ts_recv"])
        return headers

    def runs(self) -> list[Run]:
        """Returns where the records are, in the order of the file."""
        if self.error is not None:
            raise self.error
        return self._runs

    def read(self, data: bytes, run: Run, rows: np.ndarray, leaves: Sequence[Leaf]) -> dict[Leaf, np.ndarray]:
        """Reads leaves of some records of a run from its chunk's `data`."""
        assert self.layout is not None
        return self.layout.decode(self.records.read(data, run.at, run.length)[rows], leaves)


@dataclass
class ImagePart:
    """The images of one leaf of a part, one per record and in the same order.

    Attributes:
        records: the layout of the images.
        count: number of images; trailing ones without a record of the part are left out.
        error: the exception raised by reading; the images from there on are left out.
    """

    records: Images
    count: int = 0
    error: BaseException | None = None
    _runs: list[Run] = field(default_factory=list)

    def add(self, records: np.ndarray, chunk: int, at: int) -> None:
        """Notes consecutive images in a chunk, from byte `at` on."""
        self._note(Run(chunk, at, len(records)))

    def add_index(self, chunk: int, offsets: Sequence[int]) -> None:
        """Notes the images of a chunk that is not unpacked, by the bytes at which they begin."""
        size = self.records.dtype.itemsize
        begins = [i for i, at in enumerate(offsets) if i == 0 or at != offsets[i - 1] + size]
        for begin, end in zip(begins, [*begins[1:], len(offsets)], strict=True):
            self._note(Run(chunk, offsets[begin], end - begin))

    def runs(self, part: CdrPart) -> list[Run]:
        """Returns where the images of a part's records are.

        Raises:
            ValueError: some records have no image.
        """
        if self.error is not None:
            raise self.error
        if self.count < part.count:
            raise ValueError(f"{part.count} steps of '{part.name}' with {self.count} images")
        return self._runs

    def read(self, data: bytes, run: Run, rows: np.ndarray, seq: np.ndarray) -> dict[Leaf, np.ndarray]:
        """Reads some images of a run from its chunk's `data`.

        Args:
            seq: the ticks of the images, `[rows]`.
        """
        records = self.records.read(data, run.at, run.length)[rows]
        if (records["sequence"] != seq.astype(np.uint32)).any():
            raise ValueError("images of other steps")
        return {self.records.leaf: self.records.decode(records)}

    def _note(self, run: Run) -> None:
        self.count += run.length
        self._runs.append(run)


class Run(NamedTuple):
    """Consecutive records: the place of their chunk in the file, the byte at which they begin, and their number."""

    chunk: int
    at: int
    length: int


def no_column(name: str) -> np.ndarray:
    """Returns an empty column."""
    return np.zeros(0, np.int64 if name.startswith("ts_") else np.int32)


def _column(name: str, values: np.ndarray) -> np.ndarray:
    """Converts integers, `[records]`: times to int64, others to int32 if they fit, since there are many."""
    short = values.astype(no_column(name).dtype)
    return short if np.array_equal(short, values) else values.astype(np.int64)
