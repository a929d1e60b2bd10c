"""The looking glass itself: words that cover one another, or leave the picture, are found."""

from __future__ import annotations

from rexcli.plot.style import figure
from tests.plot.boxes import clipped, covered


def test_covering_and_leaving_words_are_found() -> None:
    fig = figure(4, 2, constrained=False)
    fig.text(0.5, 0.5, "first")
    fig.text(0.52, 0.5, "second")
    fig.text(0.98, 0.1, "outside")
    assert covered(fig) == [("first", "second")]
    assert clipped(fig) == ["outside"]
