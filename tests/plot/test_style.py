"""Colours that can be told apart, ink that can be read, numbers as people write them."""

from __future__ import annotations

import itertools

import matplotlib
import matplotlib.colors
import numpy as np
import pytest

from rexcli.plot import style

# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB.
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
)
PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)


def _lab(colour: str, sight: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of a colour as someone with that sight sees it."""
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.clip(sight @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4), 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    x, y, z = np.cbrt(xyz / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", [np.eye(3), DEUTERANOPIA, PROTANOPIA], ids=["full", "deuteranopia", "protanopia"])
@pytest.mark.parametrize(
    "colours",
    [[style.COLOURS[name] for name in ("grape", "pink", "teal", "orange", "indigo")], list(style.CYCLE)],
    ids=["pendulum", "cycle"],
)
def test_colours_stay_apart_for_every_sight(colours: list[str], sight: np.ndarray) -> None:
    for first, second in itertools.combinations(colours, 2):
        assert np.linalg.norm(_lab(first, sight) - _lab(second, sight)) > 8, (first, second)


@pytest.mark.parametrize("name", [*style.COLOURS, *style.CYCLE])
def test_ink_reads_on_every_colour(name: str) -> None:
    colour = style.colour(name)
    light, ink = style.luminance(colour), style.luminance(style.ink_on(colour))
    assert (max(light, ink) + 0.05) / (min(light, ink) + 0.05) >= 3


def test_any_matplotlib_colour_is_taken_and_no_colour_falls_back() -> None:
    assert style.colour("tab:blue") == matplotlib.colors.to_hex("tab:blue")
    assert style.colour("#123456") == "#123456"
    assert style.colour("no such colour", 2) == style.CYCLE[2]
    assert style.colour(None, len(style.CYCLE) + 1) == style.CYCLE[1]


def test_numbers_are_short_and_have_separators() -> None:
    texts = {1234567.0: "1,234,567", 0.0075: "0.0075", 19.98: "20", 12345.6: "12,346", 0.0: "0", float("nan"): "-"}
    assert {value: style.number(value) for value in texts} == texts


@pytest.mark.parametrize("inches", [0.4, 1.0, 2.0])
def test_shortened_text_fits_and_keeps_both_ends(inches: float) -> None:
    long = "a_very_long_name_of_a_node → another_name_of_twenty"
    short = style.shorten(long, inches)
    assert style.text_size(short)[0] <= inches
    assert short[0] == "a"
    assert style.shorten("ab", 2.0) == "ab"


def test_style_ignores_the_users_settings_and_leaves_them_alone() -> None:
    with matplotlib.rc_context({"font.size": 31.0}):
        sizes = style.styled(lambda: matplotlib.rcParams["font.size"])()
        assert sizes == style.NORMAL
        assert matplotlib.rcParams["font.size"] == 31.0
