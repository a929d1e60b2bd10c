"""Where the words of a figure lie, to see that none covers another."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from rexcli.plot.style import styled


@styled
def words(fig: Figure) -> list[tuple[Word, Bbox]]:
    """Every visible text with its box in pixels, as saved; of tick labels only those within the axis' limits."""
    renderer = FigureCanvasAgg(fig).get_renderer()
    fig.draw_without_rendering()
    texts: list[Text] = []
    for axes in fig.axes:
        if not axes.axison:
            texts += axes.texts
            continue
        for axis in (axes.xaxis, axes.yaxis):
            texts += _tick_labels(axis)
            texts.append(axis.label)
        texts += [axes.title, axes._left_title, axes._right_title, *axes.texts]
        if (legend := axes.get_legend()) is not None:
            texts += legend.get_texts()
    texts += fig.texts
    for legend in fig.legends:
        texts += legend.get_texts()
    return [
        (Word.of(text, fig.dpi), Text.get_window_extent(text, renderer))
        for text in texts
        if text.get_visible() and text.get_text().strip()
    ]


def _tick_labels(axis: Axis) -> list[Text]:
    low, high = sorted(axis.get_view_interval())
    slack = 1e-9 * (high - low)
    ticks = [tick for tick in axis.get_major_ticks() if low - slack <= tick.get_loc() <= high + slack]
    return [tick.label1 for tick in ticks if tick.label1.get_visible()]


def overlapping(boxes: Iterable[Bbox], margin: float = 0.0) -> list[tuple[int, int]]:
    """Pairs of indices of boxes that share area, each shrunk by `margin` on every side first."""
    shrunk = [box.padded(-margin) for box in boxes]
    return [
        (i, j)
        for (i, first), (j, second) in itertools.combinations(enumerate(shrunk), 2)
        if min(first.x1, second.x1) > max(first.x0, second.x0) and min(first.y1, second.y1) > max(first.y0, second.y0)
    ]


def covered(fig: Figure) -> list[tuple[str, str]]:
    """Pairs of texts that share more than a pixel's breadth of area."""
    found = words(fig)
    pairs = overlapping([box for _, box in found], margin=1.0)
    return [(str(found[i][0]), str(found[j][0])) for i, j in pairs if not _beside(found[i][0], found[j][0])]


def _beside(first: Word, second: Word) -> bool:
    """Whether two texts at the same slant are lines beside each other, though their upright boxes share area."""
    if first.slant != second.slant or first.slant % 90 == 0:
        return False
    across = np.deg2rad(first.slant + 90)
    apart = np.subtract(first.anchor, second.anchor) @ (np.cos(across), np.sin(across))
    return abs(apart) > max(first.height, second.height)


class Word(str):
    """A text, with its slant in degrees, its anchor in pixels and the height of its type in pixels."""

    slant: float
    anchor: tuple[float, float]
    height: float

    @classmethod
    def of(cls, text: Text, dpi: float) -> Word:
        word = cls(text.get_text())
        word.slant = text.get_rotation()
        word.anchor = tuple(text.get_transform().transform(text.get_position()))
        word.height = text.get_fontsize() * dpi / 72
        return word


def clipped(fig: Figure) -> list[str]:
    """Texts that reach out of the figure by more than a pixel."""
    width, height = fig.get_size_inches() * fig.dpi
    return [text for text, box in words(fig) if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1]


def by_gid(fig: Figure, gid: str) -> list:
    """The artists with an id that begins so."""
    return fig.findobj(lambda artist: (artist.get_gid() or "").startswith(gid))
