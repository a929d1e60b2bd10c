"""Delay histograms hold every recorded delay, and declared densities and expected delays stand beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.plot import delays
from rexcli.plot.declared import Curve, Declared
from rexcli.timeline.spec import NANOSECONDS
from tests.plot.boxes import by_gid, clipped, covered
from tests.plot.fixtures import PENDULUM, chain, config_of, timeline_of

DECLARED = Declared.from_config(PENDULUM)


def test_delays_are_those_of_the_timeline() -> None:
    timeline = timeline_of(PENDULUM)
    found = {entry.title: entry for entry in delays.gather(timeline, DECLARED)}
    assert list(found) == [
        *(f"{name} computes" for name in ("world", "sensor", "actuator", "agent")),
        *("world → sensor", "sensor → agent", "agent → actuator", "actuator → world"),
    ]
    np.testing.assert_allclose(found["world computes"].seconds, 0.999 / 50, atol=1e-9)
    assert len(found["sensor → agent"].seconds) == timeline.steps["sensor"].count.sum()
    assert found["sensor → agent"].seconds.min() >= 0
    assert found["agent computes"].expected == timeline.spec.node("agent").expected_delay / NANOSECONDS


def test_histograms_have_unit_area_and_no_delay_falls_out() -> None:
    found = delays.gather(timeline_of(PENDULUM), DECLARED)
    fig = delays.draw(found)
    for axes, entry in zip(fig.axes, found, strict=False):
        low, high = axes.get_xlim()
        assert low <= entry.seconds.min() * 1e3 <= entry.seconds.max() * 1e3 <= high
        assert low <= entry.expected * 1e3 <= high
        if np.ptp(entry.seconds) > 1e-9:
            [histogram] = [patch for patch in axes.patches if patch.get_gid() == "histogram"]
            density, edges, _ = histogram.get_data()
            assert (density * np.diff(edges)).sum() == pytest.approx(1.0)
        [expected] = [line for line in axes.lines if line.get_gid() == "expected"]
        assert expected.get_xdata()[0] == pytest.approx(entry.expected * 1e3)


def test_the_declared_density_is_drawn_with_what_lies_below_zero() -> None:
    x = np.linspace(0, 0.02, 50)
    curve = Curve(x, np.full(50, 42.0), at_zero=0.159)
    edges = [replace(edge, curve=curve) if edge.name == "sensor_agent" else edge for edge in DECLARED.edges]
    fig = delays.draw(delays.gather(timeline_of(PENDULUM), replace(DECLARED, edges=tuple(edges))))
    notes = {axes.get_title(loc="left"): [text.get_text() for text in axes.texts] for axes in fig.axes}
    assert notes["sensor → agent"] == ["15.9% at 0"]
    assert notes["agent computes"] == ["declared 10 ± 3 ms"]
    assert notes["world → sensor"] == ["constant 0 ms"]
    [drawn] = [line for axes in fig.axes for line in axes.lines if len(line.get_xdata()) == 50]
    np.testing.assert_allclose(drawn.get_ydata(), 0.042)
    assert "as declared (stem at 0: what is below 0)" in [text.get_text() for text in fig.legends[0].get_texts()]


def test_more_than_fit_are_counted_and_those_that_vary_stay() -> None:
    found = delays.gather(timeline_of(PENDULUM), DECLARED)
    fig = delays.draw(found, max_panels=6)
    shown = [axes.get_title(loc="left") for axes in fig.axes if axes.axison]
    assert len(shown) == 6
    assert not {"world computes", "world → sensor"} & set(shown)
    assert "2 more not shown" in [text.get_text() for text in fig.legends[0].get_texts()]


@pytest.mark.parametrize("config", [PENDULUM, chain(3, 25), config_of(["solo"], [])], ids=["pendulum", "long", "one"])
def test_no_label_covers_another_or_leaves_the_picture(config: dict) -> None:
    fig = delays.draw(delays.gather(timeline_of(config), Declared.from_config(config)))
    assert covered(fig) == []
    assert clipped(fig) == []
    assert not by_gid(fig, "nothing")


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(RexError, match="no delays"):
        delays.draw([])
