"""How short a template is found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexcli.compiler.plan import make_plan
from rexcli.errors import RexError
from rexcli.timeline.spec import SystemTiming
from rexcli.timeline.timeline import Messages, Timeline
from tests.compiler.test_plan import MODES, many
from tests.compiler.timelines import by_hand, timelines


@given(timelines(), st.booleans())
@many
def test_mcs_is_never_longer_than_other_modes(timeline, prune):
    plans = {mode: make_plan(timeline, mode=mode, prune=prune) for mode in MODES}
    assert len(plans["mcs"].template) == min(len(plan.template) for plan in plans.values())
    for plan in plans.values():
        assert 0 < plan.efficiency <= 1


def test_steps_that_wait_for_each_other_are_refused():
    timeline = by_hand()
    edges = (*timeline.spec.edges, type(timeline.spec.edges[0])("b_a", "b", "a", skip=True))
    spec = SystemTiming(timeline.spec.nodes, edges, "s")
    # a1 reads b1, which reads a1.
    messages = {**timeline.messages, "b_a": Messages(timeline.steps["b"].start, np.array([[-1, -1, -1]]))}
    messages["b_a"].reader[0, :2] = [0, 1]
    with pytest.raises(RexError, match=r"wait for each other.*a#"):
        make_plan(Timeline(spec, timeline.steps, messages))
