"""How a record lies in bytes: as ROS 2 says, whatever arrays it is made of."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from rexcli.runs.recording import RecordingWriter
from rexcli.runs.recording.layout import FIELDS, STEP_HEADER, Layout, Leaf, identifier, unique
from tests.runs.executions import ALONE, INTEGERS


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_arrays_are_decoded_as_ros_2_does(data: st.DataObject) -> None:
    """CDR aligns each number by its size; a mistake moves all that follow."""
    arrays = [
        data.draw(hnp.arrays(data.draw(st.sampled_from(INTEGERS)), data.draw(st.integers(1, 4))))
        for _ in range(data.draw(st.integers(1, 6)))
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.mcap")
        with RecordingWriter(path, ALONE) as writer:
            writer.step(0, "arm", 3, 5, 9, {"state": {f"a{i}": array for i, array in enumerate(arrays)}})
        with path.open("rb") as file:
            reader = make_reader(file, decoder_factories=[DecoderFactory()])
            (step,) = [decoded for *_, decoded in reader.iter_decoded_messages()]
    for i, array in enumerate(arrays):
        assert list(getattr(step.state, f"a{i}")) == array.tolist()


DTYPES = (*INTEGERS, "float16", "bfloat16", "complex64")
LEAVES = st.builds(
    Leaf,
    st.sampled_from(FIELDS),
    st.text("aB._ 1", max_size=4),
    st.sampled_from(DTYPES),
    st.lists(st.integers(0, 3), max_size=2).map(tuple),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(LEAVES, max_size=5, unique_by=lambda leaf: (leaf.field, leaf.path)), st.integers(1, 3))
def test_a_layout_comes_back_from_its_text_and_so_do_the_values_of_its_records(leaves: list[Leaf], count: int) -> None:
    layout = Layout(FIELDS, tuple(leaves))
    again = Layout.from_json(layout.to_json())
    assert again == layout
    header = {name: np.arange(count) - place for place, name in enumerate(STEP_HEADER)}
    rng = np.random.default_rng(0)
    values = []
    for leaf in leaves:
        numbers = rng.integers(0, 2, (count, *leaf.shape))
        imaginary = 1j * numbers if leaf.dtype == "complex64" else 0
        values.append((numbers + imaginary).astype(leaf.numpy_type))
    records = layout.encode(header, values)
    for name in STEP_HEADER:
        np.testing.assert_array_equal(records[name], header[name])
    for leaf, array in zip(leaves, values, strict=True):
        read = again.decode(records, [leaf])[leaf]
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read.astype(complex), array.astype(complex))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text("aB1_ é-.", max_size=4), max_size=6))
def test_any_keys_have_names_of_fields_that_ros_2_takes_and_no_two_the_same(keys: list[str]) -> None:
    taken: set[str] = set()
    names = [unique(identifier(key), taken) for key in keys]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z][a-z0-9]*(_[a-z0-9]+)*", name) for name in names)
