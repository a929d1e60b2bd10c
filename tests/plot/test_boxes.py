"""The looking glass itself: words that cover one another, or leave the picture, are found."""

from __future__ import annotations

from matplotlib.transforms import Bbox

from rexcli.plot.style import figure
from tests.plot.boxes import clipped, covered, overlapping


def test_covering_and_leaving_words_are_found() -> None:
    fig = figure(4, 2, constrained=False)
    fig.text(0.5, 0.5, "first")
    fig.text(0.52, 0.5, "second")
    fig.text(0.98, 0.1, "outside")
    assert covered(fig) == [("first", "second")]
    assert clipped(fig) == ["outside"]


def test_overlapping_finds_what_shares_area() -> None:
    boxes = [Bbox.from_bounds(0, 0, 2, 2), Bbox.from_bounds(1, 1, 2, 2), Bbox.from_bounds(2, 0, 1, 1)]
    assert overlapping(boxes) == [(0, 1)]
    assert overlapping(boxes, margin=0.6) == []
