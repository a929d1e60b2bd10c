"""What is written reads back, and nothing that is read can do more than be data."""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rexcli.runs.formats import (
    decode_arrays,
    decode_csv,
    decode_json,
    encode_arrays,
    encode_csv,
    encode_json,
    restore_nonfinite,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))


@given(TREES)
def test_json_comes_back(value: Any) -> None:
    assert decode_json(encode_json(value)) == value


def test_json_is_strict_and_keeps_what_is_not_finite() -> None:
    value = {"a": [math.inf, -math.inf, np.float32(np.nan)], "b": np.arange(2), "c": Path("x/y"), "d": (np.int64(3),)}
    text = encode_json(value)
    assert decode_json(text) == {"a": ["Infinity", "-Infinity", "NaN"], "b": [0, 1], "c": "x/y", "d": [3]}
    restored = restore_nonfinite(decode_json(text))["a"]
    assert restored[:2] == [math.inf, -math.inf]
    assert math.isnan(restored[2])


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "{", "", "[" * 100_000])
def test_json_that_is_not_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_json(text)


def test_objects_are_not_json() -> None:
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        encode_json({"a": object()})


DTYPES = st.sampled_from([np.bool_, np.int8, np.uint32, np.int64, np.float32, np.float64, np.dtype("U3")])
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))


@given(st.dictionaries(st.sampled_from(["file", "a", "world/state/th", "arrays", "x.y", "äö"]), ARRAYS))
def test_arrays_come_back_and_numpy_reads_them(
    tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    path.write_bytes(encode_arrays(arrays))
    assert encode_arrays(arrays) == path.read_bytes()
    for read in (decode_arrays(path), dict(np.load(path, allow_pickle=False).items())):
        assert set(read) == set(arrays)
        for name, array in arrays.items():
            assert read[name].dtype == array.dtype
            np.testing.assert_array_equal(read[name], array)


def test_arrays_of_objects_are_neither_written_nor_read(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'a' is an array of Python objects"):
        encode_arrays({"a": np.array([object()])})
    np.savez(tmp_path / "a.npz", a=np.array([{"x": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        decode_arrays(tmp_path / "a.npz")


@given(st.integers(0, 255), st.floats(0, 1, exclude_max=True), st.booleans())
def test_broken_archives_are_a_value_error(
    tmp_path_factory: pytest.TempPathFactory, byte: int, share: float, cut: bool
) -> None:
    data = bytearray(encode_arrays({"a": np.arange(3), "b": np.zeros((2, 2))}))
    index = int(share * len(data))
    data[index] = byte
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    path.write_bytes(data[:index] if cut else data)
    try:
        assert all(isinstance(array, np.ndarray) for array in decode_arrays(path).values())
    except (ValueError, OSError):
        assert cut or byte != encode_arrays({"a": np.arange(3), "b": np.zeros((2, 2))})[index]


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ValueError, match=r"."):
        decode_arrays(tmp_path / "a.npz")


def test_csv_comes_back_with_its_types() -> None:
    rows = [(1, 0.1, "a,b"), (2, math.nan, 'say "x"'), (-3, np.float32(0.5), "")]
    read = decode_csv(encode_csv(("int", "float", "text"), rows))
    assert {name: column.dtype.kind for name, column in read.items()} == {"int": "i", "float": "f", "text": "U"}
    np.testing.assert_array_equal(read["int"], [1, 2, -3])
    np.testing.assert_array_equal(read["float"], [0.1, np.nan, 0.5])
    assert read["text"].tolist() == ["a,b", 'say "x"', ""]


@given(st.lists(st.floats(), min_size=1))
def test_csv_floats_are_exact(values: list[float]) -> None:
    read = decode_csv(encode_csv(("x",), [(value,) for value in values]))["x"]
    np.testing.assert_array_equal(np.asarray(read, np.float64), values)


@pytest.mark.parametrize("data", [b"", b"a,b\n1\n", b"\xff\n", b'a\n"'])
def test_csv_that_is_no_table_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_csv(data)


def test_a_header_that_claims_more_than_the_file_holds_is_not_believed(tmp_path):
    path = tmp_path / "a.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": (2**50,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", header.getvalue() + bytes(32))
    with pytest.raises(ValueError, match="has 32 bytes, but its header says int64"):
        decode_arrays(path)


def test_an_archive_that_unpacks_to_very_much_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", b"\0" * 50_000_000)
    with pytest.raises(ValueError, match="bytes that unpack to 50000000"):
        decode_arrays(path)
