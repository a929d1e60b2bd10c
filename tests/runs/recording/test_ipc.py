"""The wire between the process that records and the one that writes: frames come out as they went in."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.runs.recording import ipc
from rexcli.runs.recording.ipc import Frame, Kind

NUMBERS = st.integers(-(2**63), 2**63 - 1)


FRAMES = st.builds(
    Frame, st.sampled_from(Kind), NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.binary(max_size=50)
)


@settings(max_examples=100, deadline=None)
@given(st.lists(FRAMES, max_size=8), st.data())
def test_frames_come_out_of_a_pipe_as_they_went_in_wherever_it_cuts(frames: list[Frame], data: st.DataObject) -> None:
    sent = b"".join(frame.pack() for frame in frames)
    inlet, outlet = os.pipe()
    stream, received = ipc.Stream(inlet), []
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=5)))
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        ipc.write(outlet, sent[start:end])
        received += stream.read(0.0)
        assert not stream.ended
    os.close(outlet)
    received += stream.read(1.0)
    os.close(inlet)
    assert stream.ended
    assert received == frames
