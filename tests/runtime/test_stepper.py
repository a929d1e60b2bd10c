"""The stepper: gym-like calls, lifecycle, and what it refuses."""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rexcli as rex
from rexcli.errors import RexError
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System


class Counter(rex.Node):
    """Sends how often it has stepped; notes what is done to it."""

    def __init__(self):
        self.calls: list[str] = []

    def init_state(self, rng, graph_state):
        return jnp.zeros((), jnp.int32)

    def init_output(self, rng, graph_state):
        return jnp.full((), -7, jnp.int32)

    def startup(self, graph_state, timeout=None):
        self.calls.append("startup")
        return True

    def step(self, step_state):
        return step_state.replace(state=step_state.state + 1), step_state.state

    def stop(self, timeout=None):
        self.calls.append("stop")
        return True


class Reader(Counter):
    """Sends the newest count that it has read."""

    def step(self, step_state):
        return step_state.replace(state=step_state.state + 1), step_state.inputs["source"][-1].data


class Concrete(Reader):
    """Needs concrete numbers, so it cannot be traced."""

    def step(self, step_state):
        after, newest = super().step(step_state)
        return after, (newest if int(newest) >= 0 else jnp.zeros((), jnp.int32))


def make(reader=None, rate=10.0, window=3):
    nodes = [(NodeSpec("source", 20.0, None), Counter()), (NodeSpec("reader", rate), reader or Reader())]
    system = System(nodes, [Edge("edge", "source", "reader", "source", window=window)], "reader")
    return system, rex.simulate(system, steps=5)


def test_window_is_the_last_messages_and_the_gap_is_init_output():
    system, timeline = make()
    stepper = rex.Stepper(system, timeline)
    state, seen = stepper.reset(stepper.init(jax.random.key(0)))
    assert seen.inputs["source"].seq.tolist() == [-1, -1, 0]
    assert seen.inputs["source"].data.tolist() == [-7, -7, 0]
    assert seen.inputs["source"].ts_sent.tolist() == [0, 0, 0]
    state, seen = stepper.step(state, seen, jnp.zeros((), jnp.int32))
    assert seen.inputs["source"].seq.tolist() == [0, 1, 2]
    assert seen.inputs["source"].data.tolist() == [0, 1, 2]
    assert len(seen.inputs["source"]) == 3
    assert (int(seen.seq), float(seen.ts), int(state.step)) == (1, np.float32(0.1), 1)
    stepper.stop()


def test_nodes_start_once_and_stop_once():
    system, timeline = make()
    stepper = rex.Stepper(system, timeline)
    for _ in range(2):
        state, _ = stepper.reset(stepper.init(jax.random.key(0)))
        stepper.run(state)
    stepper.stop()
    stepper.stop()
    assert all(node.calls == ["startup", "stop"] for node in system.nodes.values())


def test_stop_reaches_every_node_and_names_the_ones_that_failed():
    class Stuck(Reader):
        def stop(self, timeout=None):
            raise OSError("no such port")

    system, timeline = make(Stuck())
    stepper = rex.Stepper(system, timeline)
    stepper.reset(stepper.init(jax.random.key(0)))
    with pytest.raises(RexError, match="'reader' raised OSError: no such port"):
        stepper.stop()
    assert system.nodes["source"].calls == ["startup", "stop"]


def test_record_stops_the_nodes_when_one_raises():
    class Broken(Reader):
        jit = False

        def step(self, step_state):
            raise ValueError("broken wire")

    system, timeline = make(Broken())
    experiment = rex.compose("pendulum")
    with pytest.raises(ValueError, match="broken wire"):
        rex.record(experiment, system, timeline)
    assert all(node.calls == ["startup", "stop"] for node in system.nodes.values())


def test_startup_that_fails_is_said():
    class Off(Reader):
        def startup(self, graph_state, timeout=None):
            return False

    system, timeline = make(Off())
    stepper = rex.Stepper(system, timeline)
    with pytest.raises(RexError, match="node 'reader': startup failed"):
        stepper.reset(stepper.init(jax.random.key(0)))


def test_the_end_of_the_episode_is_an_error():
    system, timeline = make()
    stepper = rex.Stepper(system, timeline)
    state, _ = stepper.reset(stepper.init(jax.random.key(0)))
    for _ in range(5):
        state = stepper.run(state)
    with pytest.raises(RexError, match="offers 5 steps"):
        stepper.run(state)
    with pytest.raises(RexError, match="episodes 0 to 0"):
        stepper.init(jax.random.key(0), eps=1)


@pytest.mark.parametrize("output", [jnp.zeros(2, jnp.int32), {"value": jnp.zeros((), jnp.int32)}])
def test_an_output_of_another_form_is_refused(output):
    class Other(Reader):
        def step(self, step_state):
            return step_state, output

    system, timeline = make(Other())
    stepper = rex.Stepper(system, timeline)
    state, _ = stepper.reset(stepper.init(jax.random.key(0)))
    with pytest.raises(RexError, match="node 'reader': output: step returns"):
        stepper.run(state)


def test_real_time_factor_paces_the_episode():
    system, timeline = make()
    stepper = rex.Stepper(system, timeline, real_time_factor=2.0)
    took = []
    for _ in range(2):  # the first time compiles
        began = time.monotonic()
        state, _ = stepper.reset(stepper.init(jax.random.key(0)))
        for _ in range(5):
            state = stepper.run(state)
        took.append(time.monotonic() - began)
    assert min(took) >= 0.25
