"""The stepper with adjustable delays, and the wall clock, which has delays of its own."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import rexcli as rex
from rexcli.system.adjustable import AdjustableDelay
from rexcli.system.delays import Constant
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System

KEY = jax.random.key(0)
LOW, HIGH, STEPS = 0.005, 0.2, 12


class Counter(rex.Node):
    """Sends 100 and its tick, so that 0 is what was before."""

    def step(self, step_state):
        return step_state, {"count": 100 + step_state.seq, "value": 100.0 + step_state.seq}


class Reader(rex.Node):
    jit = False

    def __init__(self):
        self.seen = []

    def step(self, step_state):
        self.seen.append(jax.tree.map(np.asarray, dict(step_state.inputs)))
        return step_state, None


def make(delays=(None, None), interpolation="latest") -> System:
    """A reader of two edges, one with `skip`; constants where `delays` gives them."""
    adjustable = AdjustableDelay(LOW, HIGH, interpolation=interpolation)
    edges = [
        Edge(
            name,
            "source",
            "reader",
            name,
            window=2,
            skip=name == "skipping",
            delay=adjustable if delay is None else Constant(delay),
            expected_delay=0.1,
        )
        for name, delay in zip(("plain", "skipping"), delays, strict=True)
    ]
    nodes = [(NodeSpec("source", 40.0, delay=Constant(0.01)), Counter()), (NodeSpec("reader", 20.0), Reader())]
    return System(nodes, edges, "reader")


def seen(system: System, delays=None, later=None):
    """What the reader sees, step by step; delays change to `later` in the middle."""
    stepper = rex.Stepper(system, rex.simulate(system, steps=STEPS))
    state, _ = stepper.reset(stepper.init(KEY, delays=delays and {"reader": delays}))
    for step in range(STEPS):
        if later is not None and step == STEPS // 2:
            state = state.replace(delays={"reader": jax.tree.map(jnp.float32, later)})
        state = stepper.run(state)
    return system.nodes["reader"].seen


@functools.cache
def seen_with_constants(plain: float, skipping: float):
    return seen(make((plain, skipping)))


# Multiples of 5 ms arrive exactly at starts.
some_delays = st.one_of(st.integers(1, 40).map(lambda n: n * 5 / 1000), st.floats(LOW, HIGH))


@given(plain=some_delays, skipping=some_delays)
@settings(max_examples=10, deadline=None, derandomize=True)
def test_it_is_a_timeline_with_that_delay(plain, skipping):
    constants = seen_with_constants(plain, skipping)
    for step, (want, got) in enumerate(
        zip(constants, seen(make(), {"plain": plain, "skipping": skipping}), strict=True)
    ):
        for name in want:
            where = f"step {step}, {name}"
            np.testing.assert_array_equal(want[name].seq, got[name].seq, where)
            np.testing.assert_array_equal(want[name].data["count"], got[name].data["count"], where)
            np.testing.assert_allclose(want[name].ts_sent, got[name].ts_sent, atol=1e-6, err_msg=where)
            np.testing.assert_allclose(want[name].ts_recv, got[name].ts_recv, atol=1e-6, err_msg=where)


def test_a_longer_delay_in_the_middle_finds_the_older_messages_still_there():
    short, long = {"plain": LOW, "skipping": LOW}, {"plain": HIGH, "skipping": HIGH}
    changed = seen(make(), short, later=long)
    half = STEPS // 2
    for want, got in zip(seen(make(), short)[:half] + seen(make(), long)[half:], changed, strict=True):
        np.testing.assert_array_equal(want["plain"].seq, got["plain"].seq)
        np.testing.assert_array_equal(want["plain"].data["count"], got["plain"].data["count"])


def test_interpolation_slides_the_window():
    windows = [
        seen(make(interpolation="linear"), {"plain": delay, "skipping": LOW})[-1]["plain"]
        for delay in np.linspace(0.05, 0.1, 6)
    ]
    values = np.stack([window.data["value"] for window in windows])
    np.testing.assert_allclose(np.diff(values, axis=0), -0.01 * 40, rtol=1e-4)
    np.testing.assert_allclose(np.diff(values, axis=1), 1.0, rtol=1e-4)
    counts = np.stack([window.data["count"] for window in windows])
    np.testing.assert_array_equal(counts, np.floor(values + 1e-4).astype(int))


def test_a_held_window_is_the_mean_over_the_reader_s_period():
    """Messages come every 25 ms and the reader's period is 50 ms, so two or three of them hold in it."""
    for delay in (0.055, 0.0625, 0.0713, 0.1):
        sent = np.arange(STEPS * 3) / 40 + 0.01 + delay  # when message k begins to hold
        for window in [step["plain"] for step in seen(make(interpolation="hold"), {"plain": delay})][4:]:
            start = window.ts_recv[-1] - delay + window.age[-1]
            holds = np.clip(np.append(sent[1:], np.inf), start, start + 0.05) - np.clip(sent, start, start + 0.05)
            np.testing.assert_allclose(window.data["value"][-1], 100 + holds @ np.arange(len(sent)) / 0.05, atol=1e-3)
            np.testing.assert_allclose(np.diff(window.data["value"]), 1.0, rtol=1e-4)
            assert window.data["count"][-1] == 100 + np.flatnonzero(sent <= start + 1e-6)[-1] == 100 + window.seq[-1]


def test_the_wall_clock_takes_messages_as_they_come():
    system = make()
    outcome = rex.WallClock(system).run(KEY, steps=4).check()
    assert outcome.steps == 4
    plain = [inputs["plain"] for inputs in system.nodes["reader"].seen]
    assert len(plain[-1].seq) == 2
    assert plain[-1].ts_recv[-1] - plain[-1].ts_sent[-1] < LOW
