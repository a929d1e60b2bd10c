"""What is refused on loading; that loading is the inverse of saving is among the laws."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.timeline.arrays import from_arrays, spec_from_json, spec_to_json, to_arrays
from tests.timeline.by_hand import edge, node, run, system

SPEC = system(
    node("a", 33.3, 4, scheduling="phase"),
    node("b/1", advance=True),
    edge("a", "b/1", 3, name="e", blocking=True, jitter="buffer", window=4),
    supervisor="b/1",
)


def test_a_spec_survives_json():
    assert spec_from_json(spec_to_json(SPEC)) == SPEC


def test_arrays_are_plain():
    arrays = to_arrays(run(SPEC))
    assert set(arrays) == {
        "spec",
        *(f"steps/{name}/{field}" for name in ("a", "b/1") for field in ("start", "end", "count")),
        *(f"messages/e/{field}" for field in ("arrive", "reader")),
    }
    assert all(array.dtype.kind in "iU" for array in arrays.values())
    assert json.loads(str(arrays["spec"]))["nodes"][0]["rate"] == 33.3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spec": None}, "array 'spec' is missing; this file holds no timeline"),
        ({"spec": np.array("not JSON")}, "its spec cannot be read"),
        ({"spec": np.array("[1]")}, "its spec cannot be read"),
        ({"spec": np.array('{"version": 99}')}, "version 99 of the format; this rex reads version 1"),
        ({"messages/e/reader": None}, "array 'messages/e/reader' is missing"),
        ({"steps/a/end": np.zeros((1, 9), np.int64)}, r"array 'steps/a/end' is int64\[1, 9\]"),
        ({"steps/a/count": np.ones(1)}, r"array 'steps/a/count' is float64\[1\]"),
        ({"steps/a/count": np.array([99])}, "array 'steps/a/count' holds 99 to 99, outside 0 to"),
        ({"messages/e/reader": np.full((1, 2), 99)}, "array 'messages/e/reader' holds 99 to 99, outside -1 to 3"),
    ],
)
def test_arrays_that_are_no_timeline_are_refused(change, message):
    arrays = {**to_arrays(run(SPEC)), **change}
    with pytest.raises(RexError, match=message):
        from_arrays({name: array for name, array in arrays.items() if array is not None})


def test_a_spec_that_has_no_timeline_is_refused():
    with pytest.raises(RexError, match=r"nodes\.a\.rate=-1"):
        spec_from_json(spec_to_json(SPEC).replace("33.3", "-1"))
