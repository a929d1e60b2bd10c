"""The program agrees with the stepper, under every transformation; `test_program_group_*.py` have more systems."""

from __future__ import annotations

import jax
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rexcli import pipeline
from tests.compiler import three_nodes
from tests.compiler.program_law import NO_SHRINKING, agree
from tests.compiler.stepper_oracle import assert_same
from tests.random_systems import CLOSE_RATES, systems

few = settings(phases=NO_SHRINKING, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@given(data=st.data(), system=systems(4, CLOSE_RATES))
@settings(few, max_examples=1)
def test_program_agrees_with_stepper(data, system):
    agree(data, system, max_steps=6, aheads=(0,))


@pytest.mark.slow
@given(data=st.data(), system=systems(4, CLOSE_RATES))
@settings(few, max_examples=2)
def test_program_that_runs_ahead_agrees_with_stepper(data, system):
    agree(data, system, max_steps=6, aheads=(1, 2))


@pytest.mark.slow
def test_the_sensor_of_the_pendulum_can_supervise():
    experiment = pipeline.compose("pendulum", "supervisor=sensor", "timeline.steps=8", "timeline.episodes=2")
    system = pipeline.build(experiment)
    timeline, _ = pipeline.timeline_for(experiment, system)
    program = pipeline.compile(experiment, system, timeline)
    assert program.plan.template[-1] == "sensor"
    assert assert_same(program, system, timeline, 1, 8, jax.random.key(0)) > 2 * 8


def test_a_program_that_is_made_while_something_is_traced_holds_arrays():
    made = []

    def trace(x):
        made.append(three_nodes.program())
        return x

    jax.eval_shape(trace, 1.0)
    assert not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(made[0]))
