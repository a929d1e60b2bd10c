"""The program agrees with the stepper, under every transformation."""

from __future__ import annotations

import jax
import pytest
from hypothesis import HealthCheck, Phase, assume, given, reject, settings
from hypothesis import strategies as st

from rexcli import road
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.errors import RexError
from tests.compiler.comparing import assert_same
from tests.compiler.timelines import draw_timeline
from tests.random_systems import CLOSE_RATES, systems

NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""Every example compiles a program, so shrinking one takes minutes; it prints its seed instead."""

MAX_SLOTS = 24
"""Longer programs take XLA too long to compile here."""


@given(data=st.data(), system=systems(4, CLOSE_RATES))
@settings(max_examples=3, phases=NO_SHRINKING, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_program_agrees_with_stepper(data, system):
    agree(data, system, max_steps=6)


@pytest.mark.slow
@given(data=st.data(), system=systems(8, CLOSE_RATES))
@settings(max_examples=60, phases=NO_SHRINKING, deadline=None, suppress_health_check=list(HealthCheck))
def test_program_agrees_with_stepper_on_many_systems(data, system):
    agree(data, system, max_steps=12)


def agree(data, system, max_steps: int):
    """One draw of all that a program depends on beside its system."""
    episodes, steps = data.draw(st.integers(1, 3)), data.draw(st.integers(1, max_steps))
    try:
        timeline = draw_timeline(system, episodes, steps, data.draw(st.integers(0, 1000)))
    except RexError:
        reject()
    mode = data.draw(st.sampled_from(["mcs", "mcs", "generational", "topological"]))
    plan = make_plan(timeline, mode=mode, prune=data.draw(st.booleans()), ahead=data.draw(st.integers(0, 1)))
    assume(len(plan.slots) <= MAX_SLOTS)
    program = Program(system, plan, data.draw(st.sampled_from(["cond", "mask"])))
    eps = data.draw(st.integers(0, episodes - 1))
    try:
        assert assert_same(program, system, timeline, eps, steps, jax.random.key(3)) >= steps
    finally:
        jax.clear_caches()  # hundreds of compiled programs in one process exhaust its memory maps


def test_the_sensor_of_the_pendulum_can_supervise():
    experiment = road.compose("pendulum", "supervisor=sensor", "timeline.steps=8", "timeline.episodes=2")
    system = road.build(experiment)
    timeline, _ = road.timeline_for(experiment, system)
    program = road.compile(experiment, system, timeline)
    assert program.plan.template[-1] == "sensor"
    assert assert_same(program, system, timeline, 1, 8, jax.random.key(0)) > 2 * 8
