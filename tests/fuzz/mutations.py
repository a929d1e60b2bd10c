"""Changes to bytes, to trees of plain data and to arrays, drawn at random."""

from __future__ import annotations

import copy
import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Bytes = Callable[[random.Random, bytes], bytes]

BIG = 10**30
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    "",
    " ",
    "x",
    "null",
    "a" * 70_000,
    "a/b",
    "../x",
    "ü\u202e",
    "\x1b[31m",
    "line\nline",
    "${seed}",
    "${nope}",
    "${oc.env:HOME}",
    "${",
    "???",
    0,
    -1,
    1,
    7,
    2**31,
    2**63,
    2**64,
    BIG,
    -BIG,
    0.5,
    -0.0,
    1e-4,
    5e-324,
    1e12,
    1e308,
    float("inf"),
    float("-inf"),
    float("nan"),
    [],
    {},
    [1, 2],
    [None],
    [[]],
    ["a", {}],
    {"a": 1},
    {"": ""},
    {"_target_": "distrax.Normal"},
    {"_target_": "distrax.Normal", "loc": "x", "scale": -1},
    {"_target_": "distrax.Normal", "loc": 0.0, "scale": 1e300},
    {"_target_": "nodes.canary.Canary"},
    {"_target_": "os.system", "command": "true"},
    {"_target_": 3},
)
"""Values of every type, at and beyond the limits of what a key may hold."""


def changed_bytes(rng: random.Random, data: bytes) -> bytes:
    """One to three changes anywhere."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(BYTES)(rng, data)
    return data


def _flip(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _drop(rng: random.Random, data: bytes) -> bytes:
    first = rng.randrange(len(data) + 1)
    return data[:first] + data[first + rng.choice((1, 2, 16, 256)) :]


def _insert(rng: random.Random, data: bytes) -> bytes:
    first = rng.randrange(len(data) + 1)
    more = rng.choice(
        (b"\0", b"\xff", b"\xef\xbb\xbf", b"\t", b"{", b"]", b"\n", b"NaN", b"9" * 400, rng.randbytes(16))
    )
    return data[:first] + more + data[first:]


def _repeat(rng: random.Random, data: bytes) -> bytes:
    first = rng.randrange(len(data) + 1)
    last = first + rng.choice((1, 4, 32, 512))
    return data[:last] + data[first:last] * rng.choice((1, 2, 5)) + data[last:]


def _swap_lines(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def _replace(rng: random.Random, data: bytes) -> bytes:
    return rng.choice(
        (b"", b"\0", b"null", b"[]", b"{}", b"0", b'"text"', b"PK\x05\x06" + bytes(18), rng.randbytes(99))
    )


BYTES: tuple[Bytes, ...] = (_flip, _flip, _cut, _drop, _insert, _repeat, _swap_lines, _replace)


def paths_of(tree: Any, prefix: tuple = ()) -> Iterator[tuple]:
    """Paths to everything in a tree of dicts and lists but its root."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*prefix, key)
        yield from paths_of(value, (*prefix, key))


def changed_tree(rng: random.Random, tree: Any) -> Any:
    """One to three entries of a tree replaced, removed, renamed or moved."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        paths = list(paths_of(tree))
        if not paths:
            return rng.choice(VALUES)
        path = rng.choice(paths)
        parent = tree
        for key in path[:-1]:
            parent = parent[key]
        change = rng.choice(("value", "value", "value", "value", "remove", "rename", "move"))
        if change == "value":
            parent[path[-1]] = copy.deepcopy(rng.choice(VALUES))
        elif change == "remove":
            del parent[path[-1]]
        elif change == "rename" and isinstance(parent, dict):
            name = rng.choice((f"{path[-1]}x", "", "a.b", "../x", "_target_", "a" * 70_000, "from", "é"))
            parent[name] = parent.pop(path[-1])
        elif isinstance(tree, dict):
            tree[str(path[-1])] = copy.deepcopy(parent[path[-1]])
    return tree


def changed_json(rng: random.Random, data: bytes) -> bytes:
    """Bytes of JSON with another tree, or other bytes."""
    if rng.random() < 0.3:
        return changed_bytes(rng, data)
    return json.dumps(changed_tree(rng, json.loads(data))).encode()


def changed_arrays(rng: random.Random, data: bytes) -> bytes:
    """Bytes of an `.npz` with other arrays, or other bytes."""
    if rng.random() < 0.3:
        return changed_bytes(rng, data)
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    name = rng.choice(list(arrays))
    change = rng.choice(ARRAYS)
    if change is None:
        del arrays[name]
    else:
        arrays[name] = change(rng, arrays[name])
    buffer = io.BytesIO()
    packed = rng.choice((np.savez, np.savez, np.savez_compressed))
    with np.errstate(all="ignore"):
        packed(buffer, **arrays)
    return buffer.getvalue() if rng.random() < 0.9 else _claims_more(buffer.getvalue())


def _other_type(rng: random.Random, array: np.ndarray) -> np.ndarray:
    kind = rng.choice(("int32", "float64", "bool", "U4", "complex64", "uint8", "datetime64[ns]", "float16"))
    return np.zeros(array.shape, kind)


def _other_shape(rng: random.Random, array: np.ndarray) -> np.ndarray:
    shapes = (array.ravel(), array[None], array[..., None], array[:0] if array.ndim else array, array.ravel()[:1])
    return rng.choice(shapes)


def _other_values(rng: random.Random, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "iuf" or not array.size:
        return _other_text(rng, array)
    with np.errstate(all="ignore"):
        values = np.array(rng.choice((0, -1, 1, 10**6, 2**31 - 1, -(2**31), 2**62, -(2**63), np.inf, np.nan)))
        changed = array.copy()
        where = np.random.default_rng(rng.randrange(2**32)).random(array.shape) < rng.choice((0.02, 0.3, 1.0))
        changed[where] = values.astype(array.dtype)
    return changed


def _other_text(rng: random.Random, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind != "U" or array.ndim:
        return array
    text = str(array)
    try:
        return np.array(json.dumps(changed_tree(rng, json.loads(text))))
    except ValueError:
        return np.array(text[1:])


def _shuffled(rng: random.Random, array: np.ndarray) -> np.ndarray:
    return np.random.default_rng(rng.randrange(2**32)).permuted(array)


ARRAYS: tuple[Callable[[random.Random, np.ndarray], np.ndarray] | None, ...] = (
    None,
    _other_type,
    _other_shape,
    _other_values,
    _other_values,
    _other_values,
    _other_text,
    _shuffled,
)


def _claims_more(data: bytes) -> bytes:
    """The archive with one array more, whose header claims 2^50 numbers."""
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as archive:
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1125899906842624,), }"
        header += b" " * (118 - len(header) - 1) + b"\n"
        archive.writestr("more.npy", b"\x93NUMPY\x01\x00v\x00" + header + bytes(64))
    return buffer.getvalue()
