"""Defines the house style: colours, type sizes and figures, the same in every picture.

Figures are `matplotlib.figure.Figure` objects of their own, so that no picture leaves anything behind in pyplot.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib
import matplotlib.colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter
from matplotlib.transforms import ScaledTranslation

WIDTH = 8.8
"""Width of figures, inches: 1,320 pixels at `DPI`, so that small type stays readable in a README's column."""
DPI = 150

SMALL, NORMAL, TITLE = 8.0, 9.0, 10.5
INK, QUIET, FAINT = "#212529", "#868e96", "#ced4da"

COLOURS = {
    "gray": "#868e96",
    "red": "#c92a2a",
    "pink": "#f783ac",
    "grape": "#862e9c",
    "violet": "#7048e8",
    "indigo": "#364fc7",
    "blue": "#1c7ed6",
    "cyan": "#3bc9db",
    "teal": "#087f5b",
    "green": "#37b24d",
    "lime": "#94d82d",
    "yellow": "#fcc419",
    "orange": "#f76707",
}
"""Colours of open-color, each of a strength that colour-blind readers can tell apart by lightness, too."""

CYCLE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#5f5f5f")
"""Okabe and Ito's colour-blind safe palette, for runs, seeds and nodes without a colour of their own."""

RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": NORMAL,
    "axes.titlesize": TITLE,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": NORMAL,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "grid.color": "#e9ecef",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "text.parse_math": False,
    "text.usetex": False,
}

Params = ParamSpec("Params")
Result = TypeVar("Result")


def styled(function: Callable[Params, Result]) -> Callable[Params, Result]:
    """Decorates a function so that its drawing has the house style, whatever the user's matplotlibrc says."""

    @wraps(function)
    def wrapper(*args: Params.args, **kwargs: Params.kwargs) -> Result:
        with matplotlib.rc_context(), matplotlib.rc_context(RC):
            return function(*args, **kwargs)

    return wrapper


def figure(width: float = WIDTH, height: float = 3.0, *, constrained: bool = True) -> Figure:
    """Makes an empty figure, in inches; with `constrained` its layout makes room for labels by itself."""
    engine = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08) if constrained else None
    return Figure(figsize=(width, height), dpi=DPI, layout=engine)


def colour(name: str | None, index: int = 0) -> str:
    """Returns the hex colour of a declared one: an open-color name or any matplotlib colour.

    For None or an unknown colour, it returns entry `index` of the colour-blind safe cycle.
    """
    if name is not None and name in COLOURS:
        return COLOURS[name]
    if name is not None and matplotlib.colors.is_color_like(name):
        return matplotlib.colors.to_hex(name)
    return CYCLE[index % len(CYCLE)]


def tint(name: str, share: float) -> str:
    """Mixes a colour with white; `share` 1 leaves it as it is, 0 gives white."""
    red, green, blue = (1 - share * (1 - channel) for channel in matplotlib.colors.to_rgb(name))
    return matplotlib.colors.to_hex((red, green, blue))


def luminance(name: str) -> float:
    """Returns relative luminance, from 0 for black to 1 for white (WCAG 2, section 1.4.3)."""
    channels = [
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in matplotlib.colors.to_rgb(name)
    ]
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]


def ink_on(name: str) -> str:
    """Returns black or white, whichever reads better on the colour."""
    light = luminance(name)
    return "white" if 1.05 / (light + 0.05) > (light + 0.05) / 0.06 else INK


@lru_cache(maxsize=4096)
def text_size(text: str, size: float = NORMAL, weight: str = "normal") -> tuple[float, float]:
    """Returns width and height in inches that `text` takes at `size` points."""
    from matplotlib.cbook import is_math_text
    from matplotlib.textpath import text_to_path

    lines = text.split("\n")
    font = FontProperties(family="DejaVu Sans", weight=weight, size=size)
    widths = [text_to_path.get_text_width_height_descent(line, font, is_math_text(line))[0] for line in lines]
    return max(widths) / 72, (len(lines) * 1.25 * size) / 72


def number(value: float, digits: int = 3) -> str:
    """Formats a number with three significant digits, thousands separators, and no exponent where possible."""
    if value != value:
        return "-"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 10**digits:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def thousands(axis: Any) -> None:
    """Writes an axis' tick labels with thousands separators."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def legend_below(fig: Figure, handles: Iterable[Any], *, columns: int | None = None) -> None:
    """Draws one legend for the whole figure, below the data."""
    handles = list(handles)
    if not handles:
        return
    labels = [str(handle.get_label()) for handle in handles]
    if columns is None:
        widths = [text_size(label, SMALL)[0] + 0.5 for label in labels]
        room = fig.get_figwidth() - 0.3
        columns = len(handles) if sum(widths) <= room else max(1, int(room / max(widths)))
    fig.legend(
        handles=handles,
        loc="outside lower center" if fig.get_layout_engine() is not None else "lower center",
        ncols=columns,
        handlelength=2.2,
        columnspacing=1.4,
    )


def align_ylabels(fig: Figure, grid: Iterable[Axes]) -> None:
    """Puts the labels of y axes in one column, left of the widest number.

    Matplotlib's function of the same name looks at all axes for each label, again and again during the layout.
    """
    grid, widest = list(grid), 0.0
    for axes in grid:
        low, high = sorted(axes.get_ylim())
        numbers = zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
        shown = (label.get_text() for at, label in numbers if low <= at <= high)
        widest = max([widest, *(text_size(text, SMALL)[0] for text in shown)])
    rc = matplotlib.rcParams
    room = widest + (rc["ytick.major.size"] + rc["ytick.major.pad"] + rc["axes.labelpad"] + 2) / 72
    for axes in grid:
        left = axes.transAxes + ScaledTranslation(-room, 0, fig.dpi_scale_trans)
        axes.yaxis.set_label_coords(0, 0.5, transform=left)


def tidy(axes: Axes, *, x: str = "", y: str = "", title: str = "") -> None:
    """Labels an axes; every label of an axis has its unit."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title)


def shorten(text: str, inches: float, size: float = NORMAL, weight: str = "normal") -> str:
    """Returns `text`, shortened by an ellipsis to `inches`; of `a → b` each end by itself."""
    if text_size(text, size, weight)[0] <= inches:
        return text
    if " → " in text:
        half = (inches - text_size(" → .", size, weight)[0]) / 2
        return " → ".join(shorten(end, half, size, weight) for end in text.split(" → "))
    for keep in range(len(text) - 1, 1, -1):
        head = (keep + 1) // 2
        short = f"{text[:head]}…{text[len(text) - (keep - head) :]}"
        if text_size(short, size, weight)[0] <= inches:
            return short
    return text[:1]


def listing(parts: Sequence[str], inches: float) -> str:
    """Lists as many of the parts as fit in small type: `a, b and 3 more`."""

    def text(shown: int) -> str:
        rest = f" and {len(parts) - shown} more" if shown < len(parts) else ""
        return ", ".join(parts[:shown]) + rest

    if text_size(text(len(parts)), SMALL)[0] <= inches:
        return text(len(parts))
    fit = bisect_left(range(1, len(parts)), True, key=lambda shown: text_size(text(shown), SMALL)[0] > inches)
    return text(fit) if fit else shorten(parts[0], inches, SMALL)
