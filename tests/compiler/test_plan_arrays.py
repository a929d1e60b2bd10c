"""A plan that was saved is the plan that is read, and no other timeline takes it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexcli.compiler.plan import make_plan
from rexcli.compiler.plan_arrays import plan_from_arrays, plan_to_arrays
from rexcli.compiler.report import describe
from rexcli.errors import RexError
from rexcli.timeline.timeline import Steps, Timeline
from tests.compiler.test_plan import MODES, many
from tests.compiler.timelines import by_hand, slots, timelines


@given(timelines(), st.sampled_from(MODES), st.booleans())
@many
def test_storage_is_the_identity(timeline, mode, prune):
    plan = make_plan(timeline, mode=mode, prune=prune)
    arrays = plan_to_arrays(plan)
    assert all(array.dtype != object for array in arrays.values())
    again = plan_from_arrays(arrays, timeline)
    assert describe(again) == describe(plan)
    assert (again.template, again.rings, again.warmup) == (plan.template, plan.rings, plan.warmup)
    for name, before in plan.before.items():
        np.testing.assert_array_equal(again.before[name], before)
    for one, other in zip(slots(again), slots(plan), strict=True):
        np.testing.assert_array_equal(one.tick, other.tick)
        np.testing.assert_array_equal(one.ts, other.ts)
        for read, same in zip(one.inputs, other.inputs, strict=True):
            assert read.edge == same.edge
            np.testing.assert_array_equal(read.newest, same.newest)
            np.testing.assert_array_equal(read.ts_sent, same.ts_sent)
            np.testing.assert_array_equal(read.ts_recv, same.ts_recv)


def test_a_plan_of_another_timeline_is_refused():
    arrays = plan_to_arrays(make_plan(by_hand()))
    shorter = by_hand()
    steps = dict(shorter.steps)
    steps["s"] = Steps(steps["s"].start[:, :2], steps["s"].end[:, :2], np.array([2]))
    with pytest.raises(RexError, match=r"no plan of this timeline.*rex compile"):
        plan_from_arrays(arrays, Timeline(shorter.spec, steps, shorter.messages))
    with pytest.raises(RexError, match="no plan of this timeline"):
        plan_from_arrays({"mode": arrays["mode"]}, by_hand())
    with pytest.raises(RexError, match="no plan of this timeline"):
        plan_from_arrays({**arrays, "tick": arrays["tick"] + 9}, by_hand())


def test_a_plan_that_runs_ticks_too_late_is_refused():
    arrays = plan_to_arrays(make_plan(by_hand()))
    late = arrays["tick"].copy()
    late[0] = np.roll(late[0], 1, axis=-1)
    late[0, 0, 0] = -1
    with pytest.raises(RexError, match="reads message"):
        plan_from_arrays({**arrays, "tick": late}, by_hand())
