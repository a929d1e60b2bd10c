"""How one record is laid out in JSON: text from bytes and arrays from text, many records at a time.

The layout of a step (which leaves, of which types and shapes) is fixed, so its JSON is a template with a slot for
every number: encoding is one `%` a record, and the arrays are converted for all records at once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import ml_dtypes
import numpy as np

from rexcli.errors import RexError
from rexcli.runs.formats import decode_json, nonfinite_text

FIELDS = ("params", "inputs", "state", "output")
STEP_HEADER = ("episode", "seq", "ts_start", "ts_end")
MESSAGE_HEADER = ("episode", "seq", "ts_sent", "ts_recv", "reader")

_NUMPY_TYPES = frozenset({"bool", "float16", "float32", "float64", "complex64", "complex128"}) | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
_SMALL_TYPES = frozenset(
    name
    for name, kind in vars(ml_dtypes).items()
    if isinstance(kind, type) and issubclass(kind, np.generic) and name not in _NUMPY_TYPES
)
"""bfloat16 and its like, which float32 holds exactly."""

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Leaf:
    """One array of a step.

    Attributes:
        field: one of `FIELDS`.
        path: the key path in it, "" for a bare array.
        dtype: NumPy's name of its type.
        shape: its shape.
    """

    field: str
    path: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def slots(self) -> int:
        """Numbers in JSON."""
        return math.prod(self.shape) * (2 if self.dtype.startswith("complex") else 1)

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return math.prod(self.shape) * self.numpy_type.itemsize

    @property
    def listed(self) -> bool:
        """Whether its numbers are a list in JSON, and not one number."""
        return bool(self.shape) or self.slots != 1

    @property
    def slot(self) -> str:
        """Format of one of its numbers, which reads back as exactly that number."""
        if self.number_type.kind == "f":
            return "%r" if self.number_type.itemsize > 4 else "%.9g"
        return "%s" if self.number_type.kind == "b" else "%d"

    @property
    def numpy_type(self) -> np.dtype:
        return np.dtype(getattr(ml_dtypes, self.dtype) if self.dtype in _SMALL_TYPES else self.dtype)

    @property
    def number_type(self) -> np.dtype:
        """The type of the numbers in JSON."""
        if self.dtype in _SMALL_TYPES:
            return np.dtype(np.float32)
        return np.empty(0, self.dtype).real.dtype


@dataclass(frozen=True)
class Layout:
    """The fields and leaves of a node's steps. `fields` names the recorded ones, those without leaves too."""

    fields: tuple[str, ...]
    leaves: tuple[Leaf, ...]

    def __post_init__(self) -> None:
        for leaf in self.leaves:
            if leaf.dtype not in _NUMPY_TYPES | _SMALL_TYPES:
                where = f"{leaf.field}.{leaf.path}" if leaf.path else leaf.field
                raise RexError(f"{where}: an array of type {leaf.dtype} cannot be recorded; give numbers or booleans")

    def to_json(self) -> str:
        leaves = [
            {"field": leaf.field, "path": leaf.path, "dtype": leaf.dtype, "shape": leaf.shape} for leaf in self.leaves
        ]
        return json.dumps({"fields": self.fields, "leaves": leaves})

    @classmethod
    def from_json(cls, text: str) -> Layout:
        """Raises ValueError, KeyError or TypeError for what no layout ever was."""
        data = decode_json(text)
        leaves = tuple(
            Leaf(str(leaf["field"]), str(leaf["path"]), str(leaf["dtype"]), tuple(map(int, leaf["shape"])))
            for leaf in data["leaves"]
        )
        if any(length < 0 for leaf in leaves for length in leaf.shape):
            raise ValueError("a shape below 0")
        return cls(tuple(map(str, data["fields"])), leaves)

    @cached_property
    def places(self) -> tuple[tuple[str, ...], ...]:
        """Where each leaf is in the JSON object: its field, then the keys of its path.

        Paths that cannot be nested (`a` beside `a.b`, from a key that has a dot in it) stay undivided.
        """
        places: dict[Leaf, tuple[str, ...]] = {}
        for field in self.fields:
            leaves = [leaf for leaf in self.leaves if leaf.field == field]
            if [leaf.path for leaf in leaves] == [""]:
                places[leaves[0]] = (field,)
                continue
            keys = {leaf: tuple(leaf.path.split(".")) for leaf in leaves}
            inner = {path[:depth] for path in keys.values() for depth in range(1, len(path))}
            nested = not inner & set(keys.values())
            places |= {leaf: (field, *(keys[leaf] if nested else (leaf.path,))) for leaf in leaves}
        return tuple(places[leaf] for leaf in self.leaves)

    def schema(self) -> str:
        """JSON schema of a step. Plain types only, for tools that know no others."""
        properties: dict[str, Any] = {name: {"type": "integer"} for name in STEP_HEADER}
        properties |= {field: {"type": "object", "properties": {}} for field in self.fields}
        for leaf, place in zip(self.leaves, self.places, strict=True):
            kind = leaf.number_type.kind
            number = {"type": "boolean" if kind == "b" else "number" if kind == "f" else "integer"}
            parent = properties
            for key in place[:-1]:
                parent = parent.setdefault(key, {"type": "object", "properties": {}})["properties"]
            parent[place[-1]] = {"type": "array", "items": number} if leaf.listed else number
        return json.dumps({"type": "object", "properties": properties})

    @cached_property
    def _template(self) -> tuple[str, str, list[int]]:
        """The JSON with a `%` slot for every number; the same with text slots; the leaves in their order there."""
        tree: dict[str, Any] = {field: {} for field in self.fields}
        for index, place in enumerate(self.places):
            parent = tree
            for key in place[:-1]:
                parent = parent.setdefault(key, {})
            parent[place[-1]] = index
        order: list[int] = []

        def text(node: Any, slot: Callable[[Leaf], str]) -> str:
            if isinstance(node, dict):
                items = (f"{json.dumps(key).replace('%', '%%')}:{text(value, slot)}" for key, value in node.items())
                return "{" + ",".join(items) + "}"
            order.append(node)
            leaf = self.leaves[node]
            slots = ",".join([slot(leaf)] * leaf.slots)
            return f"[{slots}]" if leaf.listed else slots

        head = "{" + ",".join(f'"{name}":%d' for name in STEP_HEADER)
        numbers = text(tree, lambda leaf: leaf.slot)[1:]
        slots_in_order = list(order)
        texts = text(tree, lambda leaf: "%s")[1:]
        comma = "," if self.fields else ""
        return head + comma + numbers, head + comma + texts, slots_in_order

    def encode(self, headers: Sequence[Row], values: Sequence[bytes]) -> list[bytes]:
        """JSON of many steps.

        Args:
            headers: `STEP_HEADER` of each.
            values: of each, the bytes of its leaves, one after another as in `leaves` (native byte order, last axis
                fastest).
        """
        template, text_template, order = self._template
        ends = list(accumulate(leaf.nbytes for leaf in self.leaves))
        plain = np.ones(len(headers), bool)
        columns: list[list[Any]] = []
        slots: list[str] = []
        for index in order:
            leaf = self.leaves[index]
            if not leaf.slots:
                continue
            here = slice(ends[index] - leaf.nbytes, ends[index])
            numbers = np.frombuffer(b"".join([row[here] for row in values]), leaf.numpy_type)
            numbers = numbers.reshape(len(headers), -1)
            if leaf.dtype in _SMALL_TYPES:
                numbers = numbers.astype(np.float32)
            numbers = numbers.view(leaf.number_type)
            if numbers.dtype.kind == "f":
                plain &= np.all(np.isfinite(numbers) & ~((numbers == 0) & np.signbit(numbers)), axis=1)
            if numbers.dtype.kind == "b":
                columns += [["true" if value else "false" for value in column] for column in numbers.T.tolist()]
            else:
                columns += numbers.T.tolist()
            slots += [leaf.slot] * leaf.slots
        rows: Iterable[Row] = zip(*columns, strict=True) if columns else [()] * len(headers)
        return [
            (template % (*header, *row) if whole else text_template % (*header, *map(_text, slots, row))).encode()
            for header, row, whole in zip(headers, rows, plain.tolist(), strict=True)
        ]

    def decode(self, records: Sequence[Any]) -> list[np.ndarray]:
        """Leaves of parsed steps, in the order of `leaves`, each `[records, ...]` of its type and shape.

        Raises:
            ValueError, KeyError, TypeError, OverflowError: a step that is not laid out so.
        """
        columns: dict[tuple[str, ...], Sequence[Any]] = {(): records}
        arrays = []
        for leaf, place in zip(self.leaves, self.places, strict=True):
            for depth in range(len(place)):
                if place[: depth + 1] not in columns:
                    key = place[depth]
                    columns[place[: depth + 1]] = [value[key] for value in columns[place[:depth]]]
            numbers = _numbers(columns[place], leaf.number_type)
            if leaf.dtype.startswith("complex"):
                numbers = np.ascontiguousarray(numbers.reshape(len(records), leaf.slots)).view(leaf.numpy_type)
            arrays.append(numbers.reshape((len(records), *leaf.shape)).astype(leaf.numpy_type, copy=False))
        return arrays


def _text(slot: str, value: Any) -> str:
    """One number as JSON; `slot` % it, but for the floats of which that makes no number, or another."""
    if isinstance(value, float) and not math.isfinite(value):
        return f'"{nonfinite_text(value)}"'
    return repr(value) if value == 0 else slot % value


def _numbers(values: Sequence[Any], number_type: np.dtype) -> np.ndarray:
    """Parsed JSON as an array; floats by way of float64, which takes the texts of NaN and infinity too."""
    if number_type.kind != "f":
        return np.array(values, number_type)
    with np.errstate(over="ignore"):
        return np.array(values, np.float64).astype(number_type)


def parse(texts: Sequence[bytes]) -> list[Any]:
    """Parses many JSON messages at once."""
    return decode_json(b"[" + b",".join(texts) + b"]")


def header_columns(records: Sequence[Any], names: Sequence[str], missing: int) -> dict[str, np.ndarray]:
    """The integers of many records' headers, int64 by name; `missing` in place of null."""
    columns = {name: [record[name] for record in records] for name in names}
    return {
        name: np.array([missing if value is None else value for value in column], np.int64)
        for name, column in columns.items()
    }


def encode_message(episode: int, seq: int, ts_sent: int, ts_recv: int | None, reader: int) -> bytes:
    """JSON of one message; `ts_recv` None for one that never arrived."""
    received = b"null" if ts_recv is None else b"%d" % ts_recv
    return b'{"episode":%d,"seq":%d,"ts_sent":%d,"ts_recv":%s,"reader":%d}' % (
        *(episode, seq, ts_sent, received, reader),
    )


def message_schema() -> str:
    """JSON schema of a message."""
    return json.dumps({"type": "object", "properties": {name: {"type": "integer"} for name in MESSAGE_HEADER}})
