"""Defines how a record is laid out in bytes: an MCAP message in CDR as in ROS 2, with every field at a fixed place.

So the records of a channel form a NumPy structured array, which is written and read without a loop.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain, count
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from rexcli.errors import RexError
from rexcli.runs.formats import decode_json

FIELDS = ("params", "inputs", "state", "output")
STEP_HEADER = ("episode", "seq", "ts_start", "ts_end")
MESSAGE_HEADER = ("episode", "seq", "ts_sent", "ts_recv", "reader")
LOST = -1
"""Stands for the arrival time of a message that never arrived."""
PACKAGE = "rex_recording"

_ENVELOPE = (
    ("opcode", np.dtype("<u1")),
    ("size", np.dtype("<u8")),
    ("channel", np.dtype("<u2")),
    ("sequence", np.dtype("<u4")),
    ("logged", np.dtype("<u8")),
    ("published", np.dtype("<u8")),
    ("encoding", np.dtype("<u4")),
)
"""The bytes before the fields: the head of an MCAP message record, and the mark of little-endian CDR."""
_BEFORE_FIELDS = sum(kind.itemsize for _, kind in _ENVELOPE)
_RECORD_HEAD = 9
"""Bytes of `opcode` and `size`, which `size` does not include."""
_MESSAGE, _LITTLE_ENDIAN = 5, 0x0100

_NUMPY_TYPES = frozenset({"bool", "float16", "float32", "float64", "complex64", "complex128"}) | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
_SMALL_TYPES = frozenset(
    name
    for name, kind in vars(ml_dtypes).items()
    if isinstance(kind, type) and issubclass(kind, np.generic) and name not in _NUMPY_TYPES
)
"""Types such as bfloat16, which, like float16, are recorded as float32 without loss."""

Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Leaf:
    """One array of a step.

    Attributes:
        field: one of `FIELDS`.
        path: the key path in it, "" if the field is a single array.
        dtype: NumPy's name of the array's type.
        shape: the array's shape.
    """

    field: str
    path: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many numbers the array has in a record."""
        return math.prod(self.shape) * (2 if self.dtype.startswith("complex") else 1)

    @property
    def nbytes(self) -> int:
        """The size of the array in memory, bytes."""
        return math.prod(self.shape) * self.numpy_type.itemsize

    @property
    def numpy_type(self) -> np.dtype:
        return np.dtype(getattr(ml_dtypes, self.dtype) if self.dtype in _SMALL_TYPES else self.dtype)

    @property
    def number_type(self) -> np.dtype:
        """The type of the array's numbers in a record."""
        if self.dtype in _SMALL_TYPES or self.dtype == "float16":
            return np.dtype("<f4")
        return np.empty(0, self.dtype).real.dtype.newbyteorder("<")


@dataclass(frozen=True)
class Layout:
    """The fields and leaves of a node's steps.

    Attributes:
        fields: the recorded fields, including those without leaves.
        leaves: the arrays of the fields.
        images: indices of the leaves that are in channels of their own, see the module `images`.
    """

    fields: tuple[str, ...]
    leaves: tuple[Leaf, ...]
    images: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for leaf in self.leaves:
            if leaf.dtype not in _NUMPY_TYPES | _SMALL_TYPES:
                where = f"{leaf.field}.{leaf.path}" if leaf.path else leaf.field
                raise RexError(f"{where}: an array of type {leaf.dtype} cannot be recorded; give numbers or booleans")

    def to_json(self) -> str:
        leaves = [
            {"field": leaf.field, "path": leaf.path, "dtype": leaf.dtype, "shape": leaf.shape} for leaf in self.leaves
        ]
        return json.dumps({"fields": self.fields, "leaves": leaves, "images": self.images})

    @classmethod
    def from_json(cls, text: str) -> Layout:
        """Parses a layout; raises ValueError, KeyError or TypeError if the text is not one."""
        data = decode_json(text)
        leaves = tuple(
            Leaf(str(leaf["field"]), str(leaf["path"]), str(leaf["dtype"]), tuple(map(int, leaf["shape"])))
            for leaf in data["leaves"]
        )
        if any(length < 0 for leaf in leaves for length in leaf.shape):
            raise ValueError("a shape below 0")
        if len({(leaf.field, leaf.path) for leaf in leaves}) < len(leaves):
            raise ValueError("two arrays of one name")
        images = tuple(map(int, data.get("images", ())))
        if not set(images) <= set(range(len(leaves))):
            raise ValueError("an image that is none of the arrays")
        return cls(tuple(map(str, data["fields"])), leaves, images)

    @cached_property
    def places(self) -> tuple[tuple[str, ...], ...]:
        """The place of each leaf: its field, then the keys of its path.

        Paths that cannot be nested (`a` beside `a.b`, from a key with a dot) are not split.
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

    @cached_property
    def _in_order(self) -> list[int]:
        """The leaves in the order of a record: depth first, with fields and keys as they first occur.

        Images and empty arrays are left out.
        """
        tree: dict[str, Any] = {}
        for index, place in enumerate(self.places):
            if self.leaves[index].count and index not in self.images:
                _nest(tree, place, index)
        order: list[int] = []

        def walk(node: dict[str, Any] | int) -> None:
            if isinstance(node, int):
                order.append(node)
            else:
                for below in node.values():
                    walk(below)

        walk(tree)
        return order

    @cached_property
    def records(self) -> Records:
        """The structure of a record."""
        return Records(STEP_HEADER, [self.leaves[index] for index in self._in_order])

    @cached_property
    def in_memory(self) -> np.dtype:
        """The structure of one step's leaves in memory, as a caller passes them."""
        return np.dtype([(str(i), leaf.numpy_type, leaf.shape) for i, leaf in enumerate(self.leaves)])

    def encode(self, header: Columns, leaves: Sequence[np.ndarray]) -> np.ndarray:
        """Encodes steps as records.

        Args:
            header: columns of `STEP_HEADER`, int64 `[steps]` each.
            leaves: arrays `[steps, ...]` in the order of the layout's leaves.
        """
        return self.records.encode(header, [leaves[index] for index in self._in_order])

    def decode(self, records: np.ndarray, wanted: Sequence[Leaf]) -> dict[Leaf, np.ndarray]:
        """Decodes some leaves of records, `[records, ...]` each; none of them may be an image."""
        place = {self.leaves[index]: number for number, index in enumerate(self._in_order)}
        return {
            leaf: self.records.decode(records, place[leaf])
            if leaf.count
            else np.zeros((len(records), *leaf.shape), leaf.numpy_type)
            for leaf in wanted
        }

    def schema(self, name: str) -> str:
        """Returns the ROS 2 message definition of a step, followed by those of nested messages.

        Args:
            name: name of the message type, which also begins the names of nested types.
        """
        tree: dict[str, Any] = {}
        for index in self._in_order:
            _nest(tree, self.places[index], index)
        nested: list[str] = []
        names = count(1)

        def definition(node: Mapping[str, Any]) -> list[str]:
            lines, taken = [], set(STEP_HEADER)
            for key, below in node.items():
                field = unique(identifier(key), taken)
                if isinstance(below, int):
                    leaf = self.leaves[below]
                    size = f"[{leaf.count}]" if leaf.shape or leaf.count != 1 else ""
                    lines.append(f"{leaf.number_type.name}{size} {field}")
                else:
                    inner = f"{PACKAGE}/{name}Part{next(names)}"
                    lines.append(f"{inner} {field}")
                    nested.append("\n".join([f"MSG: {inner}", *definition(below)]))
            return lines

        whole = "\n".join([*(f"int64 {key}" for key in STEP_HEADER), *definition(tree)])
        return f"\n{'=' * 80}\n".join([whole, *nested]) + "\n"


class Field(NamedTuple):
    """A field of numbers of one type in a record. `length` is None for a single number."""

    name: str
    number: np.dtype
    length: int | None = None


class Structure:
    """The structure of a channel's records, each field of which has a fixed place: a NumPy structured type.

    Args:
        fields: fields in the order of the message.
    """

    def __init__(self, fields: Sequence[Field]):
        names = [name for name, _ in _ENVELOPE]
        formats: list[np.dtype] = [kind for _, kind in _ENVELOPE]
        offsets = [0, *accumulate(kind.itemsize for kind in formats[:-1])]
        at = 0
        for name, number, length in fields:
            at = -(-at // number.itemsize) * number.itemsize  # CDR aligns each to its own size, from the first field on
            names.append(name)
            formats.append(number if length is None else np.dtype((number, (length,))))
            offsets.append(_BEFORE_FIELDS + at)
            at += number.itemsize * (1 if length is None else length)
        size = _BEFORE_FIELDS + at
        self.dtype = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})

    def blank(self, seq: np.ndarray) -> np.ndarray:
        """Returns records, `[records]`, in which fields, `channel` and the times of the log are still to be set."""
        records = np.zeros(len(seq), self.dtype)
        records["opcode"], records["size"] = _MESSAGE, self.dtype.itemsize - _RECORD_HEAD
        records["encoding"], records["sequence"] = _LITTLE_ENDIAN, seq & 0xFFFFFFFF
        return records

    def run(self, data: bytes, at: int) -> np.ndarray:
        """Returns the consecutive records of one channel in `data` from byte `at` on, where the first one begins.

        Raises:
            ValueError: the records have another size, or are not CDR.
        """
        size = self.dtype.itemsize
        most = (len(data) - at) // size
        first = np.frombuffer(data, self.dtype, min(1, most), at)
        found = 0
        while found < most:
            more = np.frombuffer(data, self.dtype, min(most - found, max(64, found)), at + found * size)
            alike = np.logical_and.reduce([more[key] == first[key] for key in ("opcode", "size", "channel")])
            found += len(more) if alike.all() else int(alike.argmin())
            if not alike.all():
                break
        return self.read(data, at, found)

    def read(self, data: bytes, at: int, count: int) -> np.ndarray:
        """Returns `count` consecutive records in `data` from byte `at` on.

        Raises:
            ValueError: there are fewer records, or they have another layout.
        """
        records = np.frombuffer(data, self.dtype, count, at)
        wanted = {"opcode": _MESSAGE, "size": self.dtype.itemsize - _RECORD_HEAD, "encoding": _LITTLE_ENDIAN}
        if not count or any((records[key] != value).any() for key, value in wanted.items()):
            raise ValueError("a record that is not laid out as its channel says")
        return records


class Records(Structure):
    """The structure of steps or messages.

    Args:
        header: names of the int64 fields at the beginning.
        leaves: the arrays that follow.
    """

    def __init__(self, header: Sequence[str], leaves: Sequence[Leaf]):
        fields = [Field(key, np.dtype("<i8")) for key in header]
        super().__init__([*fields, *(Field(str(i), leaf.number_type, leaf.count) for i, leaf in enumerate(leaves))])
        self.header = tuple(header)
        self.leaves = tuple(leaves)

    def encode(self, header: Columns, leaves: Sequence[np.ndarray] = ()) -> np.ndarray:
        """Encodes columns `[records]` and `[records, ...]`; `channel` and the times of the log are still to be set."""
        records = self.blank(header["seq"])
        for name in self.header:
            records[name] = header[name]
        for index, (leaf, values) in enumerate(zip(self.leaves, leaves, strict=True)):
            flat = np.ascontiguousarray(values).reshape(len(records), -1)
            numbers = flat if leaf.dtype in _SMALL_TYPES else flat.view(flat.real.dtype)
            records[str(index)] = numbers
        return records

    def decode(self, records: np.ndarray, index: int) -> np.ndarray:
        """Decodes one leaf of records, `[records, ...]`."""
        leaf, numbers = self.leaves[index], np.ascontiguousarray(records[str(index)])
        if leaf.dtype.startswith("complex"):
            numbers = numbers.view(leaf.numpy_type.newbyteorder("<"))
        with np.errstate(over="ignore"):
            return numbers.reshape((len(records), *leaf.shape)).astype(leaf.numpy_type, copy=False)


MESSAGES = Records(MESSAGE_HEADER, ())
"""The record layout of messages, the same for every edge."""


def message_schema() -> str:
    """Returns the ROS 2 message definition of a message of an edge."""
    return "".join(f"int64 {name}\n" for name in MESSAGE_HEADER)


def type_name(node: str) -> str:
    """Converts a node's name to the beginning of the name of a message type."""
    words = re.findall("[A-Za-z0-9]+", node)
    return "".join(word[:1].upper() + word[1:] for word in ["Step", *words])


def _nest(tree: dict[str, Any], place: Sequence[str], value: Any) -> None:
    for key in place[:-1]:
        tree = tree.setdefault(key, {})
    tree[place[-1]] = value


def identifier(key: str) -> str:
    """Converts a key to a ROS 2 field name: lower case, digits and single underscores, beginning with a letter."""
    name = re.sub("[^a-z0-9]+", "_", key.lower()).strip("_")
    return name if name[:1].isalpha() else f"field_{name}".rstrip("_")


def unique(name: str, taken: set[str]) -> str:
    """Returns `name`, with a number appended if it is taken, and adds it to `taken`."""
    found = next(each for each in chain([name], (f"{name}_{n}" for n in count(2))) if each not in taken)
    taken.add(found)
    return found
