"""Where the records of a channel are, and their integers, as they were noted run by run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.runs.recording.images import Images
from rexcli.runs.recording.layout import LOST, MESSAGES, Layout, Leaf
from rexcli.runs.recording.parts import CdrPart, ImagePart
from rexcli.timeline.spec import NEVER

NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5)
EYE = Images("eye", Leaf("output", "", "uint8", (8, 8)))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.tuples(*[NUMBERS] * 5), min_size=1, max_size=3), max_size=3))
def test_integers_of_all_runs_come_back_one_after_another(runs: list[list[tuple[int, ...]]]) -> None:
    """Whether they are small or large, and of what never arrived, that it never does."""
    part = CdrPart("edge", "a_b", None)
    for number, rows in enumerate(runs):
        columns = np.array(rows, np.int64).T
        part.add(MESSAGES.encode(dict(zip(MESSAGES.header, columns, strict=True))), number, 0)
    every = np.array([row for rows in runs for row in rows], np.int64).reshape(-1, 5)
    assert part.count == len(every)
    for _ in range(2):
        headers = part.headers()
        for place, name in enumerate(MESSAGES.header):
            if name == "ts_recv":
                never = every[:, place] == LOST
                np.testing.assert_array_equal(headers[name], np.where(never, NEVER, every[:, place]))
            elif name != "ts_sent":
                np.testing.assert_array_equal(headers[name], every[:, place])


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), min_size=1, max_size=5))
def test_images_of_a_chunk_that_is_not_unpacked_are_where_its_index_says(stretches: list[tuple[int, int]]) -> None:
    """Stretches of so many images, and so many bytes of something else behind each."""
    size, at, offsets = EYE.dtype.itemsize, 100, []
    for length, gap in stretches:
        offsets += [at + size * place for place in range(length)]
        at += size * length + gap
    part = ImagePart(EYE)
    part.add_index(5, offsets)
    steps = CdrPart("node", "eye", Layout(("output",), (EYE.leaf,), (0,)), count=len(offsets))
    found = part.runs(steps)
    assert [run.at + size * place for run in found for place in range(run.length)] == offsets
    assert {run.chunk for run in found} == {5}
    assert len(found) == 1 + sum(gap > 0 for _, gap in stretches[:-1])
    steps.count += 1
    with pytest.raises(ValueError, match=f"{len(offsets) + 1} steps of 'eye' with {len(offsets)} images"):
        part.runs(steps)


def test_images_of_other_steps_are_not_taken_for_those_of_a_step() -> None:
    part, pictures = ImagePart(EYE), np.arange(2 * 64, dtype=np.uint8).reshape(2, 8, 8)
    layout = Layout(("output",), (EYE.leaf,), (0,))
    columns = {name: np.array([3, 4], np.int64) for name in ("episode", "seq", "ts_start", "ts_end")}
    records = EYE.encode(layout.encode(columns, [pictures]), pictures)
    part.add(records, 0, 0)
    (run,) = part.runs(CdrPart("node", "eye", layout, count=2))
    rows = np.array([1])
    np.testing.assert_array_equal(part.read(records.tobytes(), run, rows, np.array([4]))[EYE.leaf], pictures[1:])
    with pytest.raises(ValueError, match="images of other steps"):
        part.read(records.tobytes(), run, rows, np.array([3]))
