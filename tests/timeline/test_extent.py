"""How large a timeline is said to be, against the timeline: of what goes as expected, all of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.timeline.extent import BYTES, extent
from rexcli.timeline.simulate import simulate
from rexcli.timeline.spec import SystemTiming
from rexcli.timeline.timeline import Timeline
from tests.timeline.by_hand import MS, Given, edge, node, system


def as_expected(spec: SystemTiming, episodes: int = 1, **length: float) -> Timeline:
    """Every delay is the expected one."""
    delays = {part.name: part.expected_delay / MS for part in (*spec.nodes, *spec.edges)}
    return simulate(spec, Given(delays, episodes), episodes=episodes, **length)


@settings(max_examples=25, deadline=None)
@given(st.data(), st.integers(1, 3))
def test_what_goes_as_expected_has_the_length_and_the_size_that_were_foreseen(data, episodes):
    """Where no step takes longer than a period, and none is waited for."""
    rates, delays = st.sampled_from([20.0, 50.0, 70.0, 500.0]), st.integers(0, 2)
    spec = system(
        node("a", data.draw(rates), data.draw(delays)),
        node("b", data.draw(rates), data.draw(delays)),
        edge("a", "b", data.draw(delays)),
        edge("b", "a", data.draw(delays), skip=True),
        supervisor="b",
    )
    length = data.draw(
        st.fixed_dictionaries({"steps": st.integers(20, 60)}) | st.fixed_dictionaries({"seconds": st.floats(1.0, 2.0)})
    )
    foreseen, timeline = extent(spec, episodes=episodes, **length), as_expected(spec, episodes, **length)
    starts = timeline.steps["b"].start
    assert foreseen.phase == pytest.approx(starts[0, 0] / 1e9)
    unused = 0 if "steps" in length else 1 / spec.node("b").rate
    assert foreseen.length - unused - 1e-6 <= starts[0, -1] / 1e9 <= foreseen.length + 1e-6
    entries = sum(each.start.size for each in timeline.steps.values())
    entries += sum(each.arrive.size for each in timeline.messages.values())
    parts = episodes * len([*spec.nodes, *spec.edges])  # of each, a tick that has begun counts as one
    assert entries <= foreseen.size / BYTES <= 1.25 * entries + parts


def test_a_supervisor_is_as_slow_as_whoever_it_waits_for():
    """b waits for a, which waits for c, whose steps take 30 ms; nobody waits for d."""
    spec = system(
        node("a"),
        node("b"),
        node("c", expected=30),
        node("d", expected=80),
        edge("c", "a", blocking=True),
        edge("a", "b", blocking=True),
        edge("d", "b", skip=True),
        supervisor="b",
    )
    foreseen = extent(spec, episodes=1, steps=50)
    assert foreseen.length == pytest.approx(0.03 + 50 * 0.03)
    assert as_expected(spec, steps=50).steps["b"].start[0, -1] / 1e9 == pytest.approx(foreseen.length, rel=0.1)
