"""The law that the program agrees with the stepper, on random systems.

The slow tests hold it to 64 systems, in four groups with random numbers of their own. Each group has a file, since
pytest-xdist gives a file to one worker. `REX_LAW_EXAMPLES=250` draws so many in each group, and other ones.
"""

from __future__ import annotations

import os

import jax
from hypothesis import HealthCheck, Phase, assume, given, reject, seed, settings
from hypothesis import strategies as st

from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.errors import RexError
from rexcli.system.system import System
from rexcli.timeline.spec import SystemTiming
from tests.compiler.stepper_oracle import assert_same, assert_same_gradient, forget
from tests.compiler.timelines import draw_timeline
from tests.random_systems import CLOSE_RATES, systems

NO_SHRINKING = (Phase.explicit, Phase.generate)
"""Every example compiles a program, so shrinking one takes minutes; the groups are the same in every run instead."""

MAX_SLOTS = 24
"""Longer programs take XLA too long to compile here."""


EXAMPLES = int(os.environ.get("REX_LAW_EXAMPLES", 6))


def agree_on_many(group: int) -> None:
    """Holds the law to a group of systems of 2 to 8 nodes, of which more than half differ.

    Which are drawn depends on more than the seed: Hypothesis also takes constants from the modules that are imported.
    """
    seen: set[SystemTiming] = set()

    @seed(group if EXAMPLES == 8 else EXAMPLES * group)
    @given(data=st.data(), system=systems(8, CLOSE_RATES))
    @settings(
        max_examples=EXAMPLES,
        phases=NO_SHRINKING,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    def law(data: st.DataObject, system: System) -> None:
        agree(data, system, max_steps=12)
        seen.add(system.timing)

    law()
    assert len(seen) > EXAMPLES / 2


def agree(data: st.DataObject, system: System, max_steps: int, aheads: tuple[int, ...] = (0, 1, 2)) -> None:
    """One draw of all that a program depends on beside its system, under jit or vmap, and now and then its gradient."""
    episodes, steps = data.draw(st.integers(1, 3)), data.draw(st.integers(1, max_steps))
    try:
        timeline = draw_timeline(system, episodes, steps, data.draw(st.integers(0, 1000)))
    except RexError:
        reject()
    mode = data.draw(st.sampled_from(["mcs", "mcs", "generational", "topological"]))
    prune, ahead = data.draw(st.booleans()), data.draw(st.sampled_from(aheads))
    plan = make_plan(timeline, mode=mode, prune=prune, lookahead=ahead)
    assume(len(plan.template) <= MAX_SLOTS)
    program = Program(system, plan, data.draw(st.sampled_from(["cond", "mask"])))
    eps = data.draw(st.integers(0, episodes - 1))
    others = data.draw(st.sampled_from([(), (), range(1), range(episodes)]))
    try:
        assert assert_same(program, system, timeline, eps, steps, jax.random.key(3), tuple(others)) >= steps
        if data.draw(st.integers(0, 4)) == 4:
            assert_same_gradient(program, system, timeline, eps, steps, jax.random.key(3))
    finally:
        forget()
