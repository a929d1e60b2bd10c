"""Reads records of earlier versions, which are JSON with one text per record; they are no longer written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rexcli.runs.formats import decode_json
from rexcli.runs.recording.layout import MESSAGE_HEADER, STEP_HEADER, Layout, Leaf
from rexcli.timeline.spec import NEVER

BLOCK = 2048
"""Number of records that are parsed at a time."""

Block = tuple[dict[str, np.ndarray], list[np.ndarray]]
"""The headers of some records, int64 by name, and their leaves, `[records, ...]` each."""


@dataclass
class JsonPart:
    """The records of one channel, see `rexcli.runs.recording.file.Part`.

    They are parsed one block at a time as they are read, so that only their numbers are held in memory.

    Attributes:
        count: number of records.
        error: the exception raised by parsing; the records from there on are left out.
    """

    kind: str
    name: str
    layout: Layout | None
    count: int = 0
    error: BaseException | None = None
    _texts: list[bytes] = field(default_factory=list)
    _blocks: list[Block] = field(default_factory=list)

    def add(self, text: bytes) -> None:
        """Adds one record."""
        self.count += 1
        if self.error is None:
            self._texts.append(text)
            if len(self._texts) == BLOCK:
                self._parse()

    def headers(self) -> dict[str, np.ndarray]:
        return self._whole()[0]

    def leaves(self, wanted: Sequence[Leaf]) -> dict[Leaf, np.ndarray]:
        """Returns some leaves of all records, `[records, ...]` each."""
        assert self.layout is not None
        arrays = zip(self.layout.leaves, self._whole()[1], strict=True)
        return {leaf: array for leaf, array in arrays if leaf in wanted}

    def _whole(self) -> Block:
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
            records = decode_json(b"[" + b",".join(texts) + b"]")
            leaves = [] if self.layout is None else decode(self.layout, records)
            names = MESSAGE_HEADER if self.layout is None else STEP_HEADER
            self._blocks.append((_header_columns(records, names), leaves))
        except Exception as error:  # any error that foreign text may cause
            self.error, self._blocks = error, []


def last_episode(text: bytes) -> int:
    """Returns the episode of a record."""
    return int(decode_json(text)["episode"])


def _header_columns(records: Sequence[Any], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns the header columns of many parsed records, int64 by name, with `NEVER` for null."""
    columns = {name: [record[name] for record in records] for name in names}
    return {
        name: np.array([NEVER if value is None else value for value in column], np.int64)
        for name, column in columns.items()
    }


def decode(layout: Layout, records: Sequence[Any]) -> list[np.ndarray]:
    """Decodes parsed steps to leaves in the order of `layout.leaves`, each `[records, ...]` of its type and shape.

    Raises:
        ValueError, KeyError, TypeError, OverflowError: a step does not have this layout.
    """
    columns: dict[tuple[str, ...], Sequence[Any]] = {(): records}
    arrays = []
    for leaf, place in zip(layout.leaves, layout.places, strict=True):
        for depth in range(len(place)):
            if place[: depth + 1] not in columns:
                key = place[depth]
                columns[place[: depth + 1]] = [value[key] for value in columns[place[:depth]]]
        numbers = _numbers(columns[place], leaf.number_type)
        if leaf.dtype.startswith("complex"):
            numbers = np.ascontiguousarray(numbers.reshape(len(records), leaf.count)).view(leaf.numpy_type)
        arrays.append(numbers.reshape((len(records), *leaf.shape)).astype(leaf.numpy_type, copy=False))
    return arrays


def _numbers(values: Sequence[Any], number_type: np.dtype) -> np.ndarray:
    """Converts parsed JSON to an array; floats by way of float64, which also accepts the texts of NaN and infinity."""
    if number_type.kind != "f":
        return np.array(values, number_type)
    with np.errstate(over="ignore"):
        return np.array(values, np.float64).astype(number_type)
