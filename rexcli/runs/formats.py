"""Converts values to bytes and back: strict JSON, plain arrays, CSV. Reading builds nothing but data.

JSON has no NaN and no infinity: they become the strings `"NaN"`, `"Infinity"` and `"-Infinity"`, as in Protobuf's JSON.
Readers raise only `ValueError` for malformed bytes; callers that know the file add its name.
"""

from __future__ import annotations

import csv
import io
import json
import math
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:  # listing runs needs only JSON, and importing NumPy takes longer than reading a thousand runs
    import numpy as np
    import numpy.typing as npt

MOST_PACKED = 100
"""The largest ratio of unpacked arrays to the size of their file. Files written here are not compressed at all."""

NONFINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


_PLAIN = (float, int, bool)


def nonfinite_text(value: float) -> str:
    """Returns `NaN`, `Infinity` or `-Infinity` for a value that is one of them."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def plain(value: Any) -> Any:
    """Converts a value to what JSON has: NumPy scalars and arrays, tuples and paths become numbers, lists and text.

    Raises:
        TypeError: the value is not data.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return nonfinite_text(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} {value!r} cannot be written as JSON; make it a number, text or a list")


def restore_nonfinite(value: Any) -> Any:
    """Turns the three strings of `plain` for floats back into floats."""
    if isinstance(value, str):
        return NONFINITE.get(value, value)
    if isinstance(value, dict):
        return {key: item if type(item) in _PLAIN else restore_nonfinite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [item if type(item) in _PLAIN else restore_nonfinite(item) for item in value]
    return value


def encode_json(value: Any) -> bytes:
    """Encodes strict JSON in UTF-8, indented, with a newline at the end."""
    return (json.dumps(plain(value), indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def decode_json(data: bytes | str) -> Any:
    try:
        return _DECODER.decode(data if isinstance(data, str) else data.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None


def encode_arrays(arrays: Mapping[str, npt.ArrayLike]) -> bytes:
    """Encodes plain arrays as an `.npz` without dates, so that the same arrays give the same bytes.

    Raises:
        TypeError: an array holds Python objects.
    """
    import numpy as np

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, value in arrays.items():
            array = np.asarray(value)
            if array.dtype.hasobject:
                raise TypeError(f"'{name}' is an array of Python objects; give numbers or text of fixed length")
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    return buffer.getvalue()


def decode_arrays(file: Path | BinaryIO) -> dict[str, np.ndarray]:
    """Decodes all arrays of an `.npz` without pickle.

    No array is allocated before the file is known to hold as much.
    """
    try:
        there = file.stat().st_size if isinstance(file, Path) else file.seek(0, io.SEEK_END)
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            whole = sum(entry.file_size for entry in entries)
            if whole > MOST_PACKED * there:
                raise ValueError(f"{there} bytes that unpack to {whole}")
            return {entry.filename.removesuffix(".npy"): _array(archive, entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError) as error:
        raise ValueError(str(error) or type(error).__name__) from None
    except (MemoryError, RecursionError, SyntaxError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{type(error).__name__} {error}") from None


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    """Reads one array, if it is as large as its header says."""
    import numpy as np

    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in read_header:
            raise ValueError(f"'{entry.filename}' is of version {version}")
        shape, fortran, dtype = read_header[version](file)
        if dtype.hasobject:
            raise ValueError(f"'{entry.filename}' holds Python objects")
        size, rest = math.prod(shape) * dtype.itemsize, entry.file_size - file.tell()
        if size != rest or any(length < 0 for length in shape):
            raise ValueError(f"'{entry.filename}' has {rest} bytes, but its header says {dtype}{list(shape)}")
        array = np.frombuffer(file.read(), dtype).reshape(shape, order="F" if fortran else "C")
        return array.copy()


def encode_csv(columns: Sequence[str] | None, rows: Iterable[Sequence[Any]]) -> bytes:
    """Encodes a comma-separated table with a header line (none for None).

    Floats have all their digits; lists and mappings are JSON.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if columns is not None:
        writer.writerow(columns)
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _cell(cell: Any) -> Any:
    """Converts NumPy scalars to Python's, so that a float32 is written as the number that it is."""
    if hasattr(cell, "item") and not getattr(cell, "ndim", 1):
        return cell.item()
    return json.dumps(plain(cell)) if isinstance(cell, list | dict) else cell


def decode_csv(data: bytes) -> dict[str, np.ndarray]:
    """Decodes columns by name: int64 or float64 if every cell is an integer or a number, else text."""
    try:
        rows = list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    if not rows:
        raise ValueError("no header line")
    header, *body = rows
    for number, row in enumerate(body, start=2):
        if len(row) != len(header):
            raise ValueError(f"line {number} has {len(row)} cells, the header {len(header)}")
    return {name: _column([row[i] for row in body]) for i, name in enumerate(header)}


def _column(cells: list[str]) -> np.ndarray:
    import numpy as np

    for convert, dtype in ((int, np.int64), (float, np.float64)):
        try:
            return np.array([convert(cell) for cell in cells], dtype)
        except (ValueError, OverflowError):
            continue
    return np.array(cells, np.str_)
