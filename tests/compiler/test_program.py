"""The program agrees with the stepper, under every transformation."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.errors import RexError
from rexcli.graph.states import GraphState, StepState
from rexcli.graph.system import System
from rexcli.runtime.stepper import Stepper
from rexcli.timeline.simulate import simulate
from rexcli.timeline.timeline import Timeline
from tests.random_systems import systems

NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""Every example compiles a program, so shrinking one takes minutes; it prints its seed instead."""

FIELDS = ("params", "inputs", "state", "output")


def make_timeline(system: System, episodes: int, steps: int, seed: int = 0) -> Timeline:
    def sample(kind, name, ticks):
        return system.sample_delays(kind, name, seed, episodes, ticks)

    return simulate(system.timing, sample, episodes=episodes, steps=steps)


class Log:
    """Keeps every step that a stepper makes."""

    def __init__(self):
        self.steps: dict[tuple[str, int], tuple[StepState, StepState, object]] = {}

    def begin(self, episode: int, graph_state: GraphState) -> None:
        self.steps.clear()

    def step(self, node, seq, before, after, output) -> None:
        self.steps[node, seq] = (before, after, output)

    def end(self, episode: int, seq: int) -> None:
        pass


def assert_same(program: Program, system: System, timeline: Timeline, eps: int, steps: int, key: jax.Array) -> int:
    """Rolls out episode `eps` both ways and compares every entry that the program filled; returns how many."""
    log = Log()
    stepper = Stepper(system, timeline, listener=log)
    state, _ = stepper.reset(stepper.init(key, eps=eps))
    for _ in range(steps):
        state = stepper.run(state)
    stepper.stop()

    @jax.jit
    def roll(program: Program, key: jax.Array):
        state, _ = program.reset(program.init(key, eps=eps))
        return program.rollout(state, steps, keep=dict.fromkeys(system.nodes, FIELDS))[1]

    compared = 0
    for name, record in roll(program, key).items():
        for entry in np.flatnonzero(np.asarray(record.seq) >= 0):
            seq = int(record.seq[entry])
            before, after, output = log.steps[name, seq]
            got = jax.tree.map(lambda leaf, entry=entry: np.asarray(leaf[entry]), record.fields)
            want = {"params": after.params, "inputs": before.inputs, "state": after.state, "output": output}
            assert record.ts[entry] == before.ts
            compare(want, got, f"{name}[{seq}]")
            compared += 1
    return compared


def compare(want, got, where: str) -> None:
    """Integers exactly, floats to float32 rounding."""
    assert jax.tree.structure(want) == jax.tree.structure(got)
    for (path, a), b in zip(jax.tree_util.tree_flatten_with_path(want)[0], jax.tree.leaves(got), strict=True):
        a, b, message = np.asarray(a), np.asarray(b), where + jax.tree_util.keystr(path)
        if np.issubdtype(a.dtype, np.floating):
            np.testing.assert_allclose(b, a, rtol=2e-5, atol=2e-5, err_msg=message)
        else:
            np.testing.assert_array_equal(b, a, err_msg=message)


@given(data=st.data(), system=systems())
@settings(max_examples=6, phases=NO_SHRINKING, deadline=None, suppress_health_check=list(HealthCheck))
def test_program_agrees_with_stepper(data, system):
    _agree(data, system)


@pytest.mark.slow
@given(data=st.data(), system=systems())
@settings(max_examples=200, phases=NO_SHRINKING, deadline=None, suppress_health_check=list(HealthCheck))
def test_program_agrees_with_stepper_on_many_systems(data, system):
    _agree(data, system)


def _agree(data, system):
    episodes, steps = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 12))
    try:
        timeline = make_timeline(system, episodes, steps)
    except RexError:
        reject()
    mode = data.draw(st.sampled_from(["mcs", "generational", "topological"]))
    plan = make_plan(timeline, mode=mode, prune=data.draw(st.booleans()))
    program = Program(system, plan, data.draw(st.sampled_from(["cond", "mask"])))
    eps = data.draw(st.integers(0, episodes - 1))
    assert assert_same(program, system, timeline, eps, steps, jax.random.key(3)) >= steps
